# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m harness.emulator CONFIG.json`: plays the boards of a configuration until it is told to end (SIGTERM).

Exit codes: 0 ended as told, 2 the configuration is wrong, 3 a tap, pty or socket cannot be had.
"""

import os
import signal
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from harness import clock
from harness.emulator import settings
from harness.emulator.control import Control
from harness.emulator.handover import write_json
from harness.emulator.loop import Loop
from harness.emulator.pi import VirtualPi
from harness.emulator.settings import Settings
from harness.emulator.tick import Tick
from harness.errors import ConfigError, HarnessError, InfraError

_ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m harness.emulator CONFIG.json", file=sys.stderr)
        return ConfigError.exit_code
    path = Path(arguments[0])
    try:
        boards = settings.load(path)
        _play(boards)
    except HarnessError as error:
        print(error, file=sys.stderr)
        for status in settings.status_paths(path):
            with suppress(OSError):
                write_json(status, {"state": "error", "error": str(error), "remedy": error.remedy, "t": clock.now()})
        return error.exit_code
    return 0


def _play(boards: list[Settings]) -> None:
    with ExitStack() as stack:
        # Among several, one board's sleep would hold up the others'.
        loop = Loop(stack.enter_context(Tick()) if len(boards) == 1 else None)
        stack.callback(loop.close)
        _end_on_signals(loop, stack)
        for board in boards:
            try:
                pi = VirtualPi(loop, board)
                stack.callback(pi.close)
                stack.callback(Control(loop, pi).close)
                write_json(board.status, _ready(pi))
            except OSError as error:
                raise InfraError(f"board {board.name}: {error}", place=error.filename or "") from error
            stack.callback(_say_ended, board)
        loop.run()


def _ready(pi: VirtualPi) -> dict[str, Any]:
    return {
        "state": "ready",
        "name": pi.settings.name,
        "model": pi.settings.model.name,
        "console": pi.serial.path,
        "control": str(pi.settings.control),
        "pid": os.getpid(),
        "t": clock.now(),
    }


def _say_ended(board: Settings) -> None:
    with suppress(OSError):
        write_json(board.status, {"state": "ended", "name": board.name, "t": clock.now()})


def _end_on_signals(loop: Loop, stack: ExitStack) -> None:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
        stack.callback(end.close)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    for number in _ENDING:
        signal.signal(number, lambda _number, _frame: loop.stop())

    def woken(_events: int) -> None:
        # A signal before the loop ran has been heard by nobody but this descriptor; a tick's number is there, too.
        if not _ENDING.isdisjoint(ours.recv(4096)):
            loop.stop()

    loop.watch(ours.fileno(), woken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
