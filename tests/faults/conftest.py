# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab with one emulated Pi 4 and the light root, short budgets, and ways to break it."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.config import LabConfig, loads
from harness.lab import Lab
from harness.run import Run
from tests import emulated

BOARD = "pi4-a"
SERIAL = "91cdf03d"

TEXT = emulated.lab(
    "faults",
    emulated.board(
        BOARD,
        serial=SERIAL,
        budgets="{link: 5, dhcp: 5, firmware: 20, kernel: 40, initramfs: 40, root: 20, userspace: 40, login: 20}",
    ),
)


def lab_config(**replacements: str) -> LabConfig:
    """The lab, with some of its text replaced: lab_config(**{"dhcp: 5": "dhcp: 3"})."""
    text = TEXT
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    return loads(text)


@pytest.fixture
def open_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Opens labs that are closed at the end of the test."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the emulated lab's NFS server opens files by handle")
    with ExitStack() as stack:

        def opened(config: LabConfig | None = None) -> Lab:
            run = Run.create(tmp_path / "reports", lab="faults")
            return stack.enter_context(Lab(config or lab_config(), run))

        yield opened
