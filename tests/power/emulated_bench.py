# SPDX-License-Identifier: GPL-2.0-or-later
"""Two emulated boards without a system, on emulated gear of one kind that feeds them."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import pytest

from harness.power.port import PowerPort
from harness.power.virtual import VirtualPort
from harness.servers import Rig, VirtualBoard


class Feeding(Protocol):
    """What makes the ports of a rig's boards."""

    def port(self, board: str, folder: Path) -> PowerPort: ...


F = TypeVar("F", bound=Feeding)
P = TypeVar("P", bound=PowerPort)


@dataclass
class Bench(Generic[F, P]):
    """gear: the switch or the relays; kind: of its ports."""

    rig: Rig
    gear: F
    kind: type[P]

    def port(self, name: str) -> P:
        folder = self.rig.folder / name / "boot"
        folder.mkdir(exist_ok=True)
        port = self.gear.port(name, folder)
        assert isinstance(port, self.kind)
        return port

    def board(self, name: str) -> VirtualPort:
        """What the board itself says."""
        return VirtualPort(self.rig.board(name).control_socket)


@contextmanager
def fed_by(
    make: Callable[[Rig, list[str]], F], kind: type[P], boards: Sequence[VirtualBoard], folder: Path
) -> Iterator[Bench[F, P]]:
    """The boards' emulators, on the gear that `make` starts in their rig."""
    if os.geteuid() != 0:
        pytest.skip("needs root: namespaces")
    with Rig(boards, folder) as rig:
        for board in boards:
            rig.start_emulator(board.name)
        yield Bench(rig, make(rig, [board.name for board in boards]), kind)
