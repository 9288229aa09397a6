# SPDX-License-Identifier: GPL-2.0-or-later
"""How many examples hypothesis tries: few every day, so that unit tests stay quick; many with PIBOOT_THOROUGH=1.

`script/test --all` sets it.
"""

import os

from hypothesis import settings

settings.register_profile("daily", max_examples=30)
settings.register_profile("thorough", max_examples=300)
settings.load_profile("thorough" if os.environ.get("PIBOOT_THOROUGH") else "daily")
