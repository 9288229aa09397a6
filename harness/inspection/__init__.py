# SPDX-License-Identifier: GPL-2.0-or-later
"""A dry run of a lab's gear: every power port, console, wire and server is asked whether it is there, whether we may use it and
what it is. Nobody's power changes: that is `harness.inspection.cycling`, for those who ask for it.
"""

from harness.inspection.seen import Seen
from harness.inspection.survey import survey
from harness.inspection.table import format_rows

__all__ = ["Seen", "format_rows", "survey"]
