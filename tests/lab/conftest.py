# SPDX-License-Identifier: GPL-2.0-or-later
"""A run, and a board's line on a pty that nobody reads any more when the test is over."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.run import Run
from tests.lab.doubles import Pty


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path, lab="doubles", name="run")


@pytest.fixture
def pty() -> Iterator[Pty]:
    line = Pty()
    yield line
    line.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name == f"console {line.path}"]
