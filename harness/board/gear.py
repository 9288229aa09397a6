# SPDX-License-Identifier: GPL-2.0-or-later
"""What a board hangs on, made ready for one boot: power port, console, capture, and the pulse of an emulator behind it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.boot.events import ConsoleGap, Event
from harness.clock import now
from harness.errors import HarnessError, InfraError

if TYPE_CHECKING:
    from harness.board.losing import Sign
    from harness.config import SerialConsole
    from harness.console.log import ConsoleLog
    from harness.power.port import PowerPort
    from harness.power.virtual import VirtualPort
    from harness.servers import Rig

Emit = Callable[[Event], None]
Fail = Callable[[HarnessError], None]

#: How often the emulator behind a board is asked whether it still lives, seconds.
_ALIVE_EVERY = 0.5


class Gate:
    """Lets events pass that happen after it was opened: what a board says before its power-on is not of this boot. That its
    console is away is always told.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._since = math.inf

    def open(self) -> None:
        self._since = now()

    def __call__(self, event: Event) -> None:
        if event.t >= self._since or isinstance(event, ConsoleGap):
            self._emit(event)


def _nothing() -> None:
    pass


def _ready(_until: str) -> None:
    pass


def _rebooting(_folder: Path) -> None:
    pass


def _mine() -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Gear:
    """The parts of one board.

    power: the power port, for a boot with this folder. open_console, open_capture: take the boot's folder, where to put
    events, and whom to tell of a failure; the console reads when it is returned, the capture once it is entered. prepare:
    makes the server ready for the next boot up to a stage (a clean root), and waits for the board's turn where only so many
    may run. alive: raises InfraError when something behind the board has died. claim: makes sure that the board is ours, before
    its power is touched, and gives remarks for the record; InfraError. released: the board is off. signs: what shows, besides
    console and power port, whether the board has power. rebooting: the board is about to reboot by itself, with this folder for
    its next boot.
    """

    power: Callable[[Path], PowerPort]
    open_console: Callable[[Path, Emit, Fail], ConsoleLog] | None = None
    open_capture: Callable[[Path, Emit, Fail], AbstractContextManager[object]] | None = None
    prepare: Callable[[str], None] = _ready
    alive: Callable[[], None] = _nothing
    claim: Callable[[], Sequence[str]] = _mine
    released: Callable[[], None] = _nothing
    signs: Callable[[], Sequence[Sign]] = tuple
    rebooting: Callable[[Path], None] = _rebooting


def serial_console(config: SerialConsole) -> Callable[[Path, Emit, Fail], ConsoleLog]:
    """A console on a serial device, a pty, a USB adapter or a serial server."""

    def opened(folder: Path, emit: Emit, fail: Fail) -> ConsoleLog:
        from harness.board.attaching import open_or_attach, shared  # noqa: PLC0415 - a lab without consoles needs no pyserial
        from harness.console.opening import console_log  # noqa: PLC0415

        log = console_log(config, folder, on_event=emit, on_error=fail, opened=open_or_attach)
        return shared(log.start(), folder, config.line)

    return opened


def emulated_console(port: str) -> Callable[[Path, Emit, Fail], ConsoleLog]:
    """The console of an emulated board, opened once for each boot.

    A pty that has gone does not come back, but its name may: it would then be another board's, whose output a second reader
    would steal.
    """

    def opened(folder: Path, emit: Emit, fail: Fail) -> ConsoleLog:
        from harness.board.attaching import shared  # noqa: PLC0415
        from harness.console.log import ConsoleLog  # noqa: PLC0415
        from harness.console.port import BAUD, BytePort, open_port  # noqa: PLC0415

        first = iter([port])

        def once() -> BytePort:
            path = next(first, None)
            if path is None:
                raise InfraError("the emulated board's console is gone", place=port, remedy="see the emulator's log")
            return open_port(path, BAUD)

        return shared(ConsoleLog(once, folder, on_event=emit, on_error=fail, reconnect_for=0.0).start(), folder)

    return opened


class Pulse:
    """Whether an emulated board's emulator lives, and has met no error of its own (QEMU missing, say)."""

    def __init__(self, rig: Rig, name: str, port: VirtualPort) -> None:
        self._rig, self._name, self._port = rig, name, port
        self._next = 0.0

    def __call__(self) -> None:
        """Raises InfraError. Looks at most every half second, however often it is called."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _ALIVE_EVERY
        process = self._rig.emulator(self._name)
        if process is not None and process.returncode is not None:
            raise InfraError(
                f"the emulator of {self._name} ended with code {process.returncode}{process.last_words()}",
                place=str(self._rig.folder / self._name / "emulator.log"),
            )
        status = self._port.status()
        if status.get("error"):
            raise InfraError(str(status["error"]), remedy=str(status.get("remedy", "")))
