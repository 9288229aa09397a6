# SPDX-License-Identifier: GPL-2.0-or-later
"""Labs that end with their test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.config import loads
from harness.lab import Lab
from harness.run import Run
from tests.topologies.labs import Pi, lab_text, skip_without

OpenLab = Callable[..., Lab]


@pytest.fixture
def open_lab(tmp_path: Path) -> Iterator[OpenLab]:
    """open_lab("router-option-66", Pi(...), ..., more=""): a lab on that topology."""
    with ExitStack() as stack:

        def opened(topology: str, *boards: Pi, more: str = "") -> Lab:
            skip_without(topology)
            run = Run.create(tmp_path / "reports", lab="topologies")
            return stack.enter_context(Lab(loads(lab_text(topology, *boards, more=more)), run))

        yield opened
