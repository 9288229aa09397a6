# SPDX-License-Identifier: GPL-2.0-or-later
"""How many examples hypothesis tries: few every day, so that unit tests stay quick; many with PIBOOT_THOROUGH=1 (`script/test
--all` sets it). Locks of their own for the boards of these tests: the labs that they make up are not this machine's. And a look
at the marks: script/test finds the files of a mark by their text, so one that came from elsewhere would be run by nobody.
"""

import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# No deadline: on a busy machine an example of 5 ms takes 200, and hypothesis calls it unreliable.
settings.register_profile("daily", max_examples=15, deadline=None)
settings.register_profile("thorough", max_examples=150, deadline=None)
settings.load_profile("thorough" if os.environ.get("PIBOOT_THOROUGH") else "daily")


def pytest_configure(config: pytest.Config) -> None:
    if "PIBOOT_LOCKS" not in os.environ:
        folder = os.environ["PIBOOT_LOCKS"] = tempfile.mkdtemp(prefix="piboot-test-locks-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in {item.path for item in items}}
    for item in items:
        if len(item.nodeid) > 500:
            raise pytest.UsageError(f"{item.nodeid[:200]}...: give it shorter ids=; each worker sends all names")
        for mark in ("netns", "qemu", "gear"):
            if item.get_closest_marker(mark) is not None and f"mark.{mark}" not in texts[item.path]:
                raise pytest.UsageError(f"{item.nodeid}: script/test needs pytest.mark.{mark} in this file to find it")
