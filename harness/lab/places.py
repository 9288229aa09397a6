# SPDX-License-Identifier: GPL-2.0-or-later
"""The gear around a real board: what lab.yaml names itself, and what the board's labgrid place brings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.board.gear import Emit, Fail, serial_console
from harness.config import BoardConfig, LabConfig
from harness.config.console import SerialConsole
from harness.config.labgrid import LabgridConsole, LabgridPower
from harness.config.wire import LabgridWire
from harness.lab import captures

if TYPE_CHECKING:
    from harness.console.log import ConsoleLog
    from harness.lab.captures import Opener
    from harness.labgrid.place import Place
    from harness.power.port import PowerPort

OpenConsole = Callable[[Path, Emit, Fail], "ConsoleLog"]


def place_of(lab: LabConfig, board: BoardConfig) -> Place | None:
    """The labgrid place that a board is; None for one that is none."""
    if board.place is None or lab.labgrid is None:
        return None
    from harness.labgrid.client import Client  # noqa: PLC0415 - for labs with labgrid alone
    from harness.labgrid.place import Place  # noqa: PLC0415

    return Place(Client.of(lab.labgrid, lab.path), board.place)


def power_of(board: BoardConfig, place: Place | None) -> PowerPort:
    """The board's power port; nothing is sent yet. ConfigError."""
    if isinstance(board.power, LabgridPower) and place is not None:
        from harness.labgrid.gear import LabgridPort  # noqa: PLC0415
        from harness.power.port import Timing  # noqa: PLC0415

        return LabgridPort(place, board.power.name, Timing(limit=board.power.limit, poll=0.5))
    from harness.power.opening import open_port  # noqa: PLC0415

    return open_port(board.power)


def console_of(board: BoardConfig, place: Place | None) -> OpenConsole | None:
    """How the board's console is opened. A place's serial port is served only while the place is ours: it is looked up then."""
    console = board.console
    if isinstance(console, LabgridConsole) and place is not None:

        def opened(folder: Path, emit: Emit, fail: Fail) -> ConsoleLog:
            from harness.labgrid.gear import serial_line  # noqa: PLC0415

            return serial_console(serial_line(place, console))(folder, emit, fail)

        return opened
    return serial_console(console) if isinstance(console, SerialConsole) else None


def capture_of(lab: LabConfig, board: BoardConfig, place: Place | None) -> Opener | None:
    """How the board's packets are captured; None when lab.yaml names no wire for it."""
    wire = lab.wire_of(board)
    if isinstance(wire, LabgridWire) and place is not None:

        def opened(folder: Path, emit: Emit, fail: Fail) -> AbstractContextManager[object]:
            from harness.labgrid.gear import wire_of  # noqa: PLC0415

            return captures.ssh_capture(wire_of(place, wire), board.mac)(folder, emit, fail)

        return opened
    return captures.capture_of(wire, board.mac)
