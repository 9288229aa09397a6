# SPDX-License-Identifier: GPL-2.0-or-later
"""A board made of doubles: a power port in memory and a console on a pty that says what a script tells it to."""

import os
import select
import threading
import time
import tty
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.board import Board
from harness.board.gear import Emit, Fail, Gear
from harness.boot.expect import Expectation
from harness.console.log import ConsoleLog
from harness.errors import HarnessError, InfraError
from harness.power.port import State
from harness.run import Run
from tests.boot.stream import BUDGETS

BOOT_TEXT = (
    "  2.52 Boot mode: NETWORK (02) order f\r\n",
    "  5.21 LINK STATUS: speed: 1000 full duplex\r\n",
    "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd083]\r\n",
    "[    1.500000] Run /init as init process\r\n",
    "Begin: Mounting root file system ... \r\n",
    "Begin: Running /scripts/init-bottom ... done.\r\n",
    "[    3.000000] systemd[1]: systemd 252 running in system mode\r\n",
    "\r\nDebian GNU/Linux 12 pi ttyAMA0\r\n\r\npi login: ",
)


class MemoryPort:
    """A power port that obeys, and tells `on_power` of it; `refuse` makes it fail as a real one would."""

    identity = "port 7 of a double"
    detail = "read back"

    def __init__(self, on_power: Callable[[], None] = lambda: None, refuse: str = "") -> None:
        self._state: State = "off"
        self._on_power = on_power
        self._refuse = refuse
        self.history: list[str] = []

    def on(self) -> None:
        if self._refuse:
            raise InfraError(self._refuse, remedy="look at the switch")
        self._state = "on"
        self.history.append("on")
        self._on_power()

    def off(self) -> None:
        self._state = "off"
        self.history.append("off")

    def state(self) -> State:
        return self._state


class Pty:
    """A serial line: `say` is the board, `path` is what the console opens."""

    def __init__(self) -> None:
        self._board, self._port = os.openpty()
        tty.setraw(self._port)
        self.path = os.ttyname(self._port)
        # The script of a board speaks in a thread of its own, and may still speak when its test is over.
        self._plugged = threading.Lock()
        self.readers: list[ConsoleLog] = []

    def say(self, text: str | bytes) -> None:
        """A board speaks on when nobody is connected; nobody hears it."""
        with self._plugged:
            if self._board >= 0:
                os.write(self._board, text.encode() if isinstance(text, str) else text)

    def hear(self, wanted: bytes) -> bytes:
        """What was typed, once `wanted` is in it. AssertionError after 20 s."""
        heard, end = b"", time.monotonic() + 20
        while wanted not in heard:
            assert select.select([self._board], [], [], max(0.0, end - time.monotonic()))[0], f"only heard {heard!r}"
            heard += os.read(self._board, 4096)
        return heard

    def vanish(self) -> None:
        """The adapter is pulled out; again is harmless."""
        with self._plugged:
            for fd in (self._board, self._port):
                if fd >= 0:
                    os.close(fd)
            self._board = self._port = -1

    def close(self) -> None:
        """The end of a test: also of whoever still reads here."""
        for reader in self.readers:
            reader.close()
        self.vanish()


def make_board(
    run: Run,
    pty: Pty | None,
    script: Sequence[str] = (),
    *,
    power: MemoryPort | None = None,
    alive: Callable[[], None] = lambda: None,
    budgets: dict[str, float] | None = None,
    reconnect_for: float = 0.5,
    after: Callable[[], None] = lambda: None,
) -> Board:
    """A board that says `script` when it is switched on, and then calls `after`."""

    def speak() -> None:
        def run_script() -> None:
            for text in script:
                if pty is not None:
                    pty.say(text)
            after()

        threading.Thread(target=run_script, daemon=True).start()

    def console(folder: Path, emit: Emit, fail: Fail) -> ConsoleLog:
        assert pty is not None
        log = ConsoleLog(pty.path, folder, on_event=emit, on_error=fail, reconnect_for=reconnect_for)
        pty.readers.append(log)
        return log.start()

    port = power or MemoryPort(speak)
    if power is not None:
        power._on_power = speak
    gear = Gear(power=lambda _folder: port, open_console=console if pty is not None else None, alive=alive)
    expectation = Expectation(
        board="pi4-a",
        model="pi4",
        budgets=budgets or BUDGETS,
        has_wire=False,
        grace=1.0,
        has_console=pty is not None,
    )
    return Board("pi4-a", "pi4", expectation, gear, run, off_time=0.0)


def raising(error: HarnessError) -> Callable[[], None]:
    def alive() -> None:
        raise error

    return alive
