# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot console`: a board's console for a person, beside whoever else reads it, with everything kept."""

import sys
import time
from contextlib import ExitStack
from pathlib import Path

from harness.board.attaching import served
from harness.commands.interactive import converse
from harness.config import BoardConfig, LabConfig, load
from harness.console.share import SOCKET, attach, leave
from harness.console.visiting import break_command
from harness.errors import ConfigError, InfraError
from harness.run import Run, disk_error, timestamp

#: Seconds to wait for a run that has the board, and does not read its console just now (it is between two boots).
_BETWEEN = 20.0


def console_board(name: str, *, lab: Path, reports: Path, power: bool, sysrq: str = "") -> int:
    """Attach to whoever reads the console, or read it ourselves. 0 when the person left, 3 when the console ended."""
    config = load(lab)
    if name not in config.boards:
        known = ", ".join(config.boards)
        raise ConfigError(f"there is no board {name!r}", place=str(lab), remedy=f"choose of: {known}")
    board = config.boards[name]
    if sysrq and not (len(sysrq) == 1 and sysrq.isascii() and sysrq.isprintable()):
        raise ConfigError(f"a SysRq key is one character, not {sysrq!r}", remedy="h: what there is; b: restart at once")
    path, holder = served(config, board)
    if holder is not None or path is not None:
        if power:
            who = holder.words if holder is not None else "another process reads its console"
            raise InfraError(f"{name} is in use: {who}", remedy="leave out --power to look on")
        return _visit(config, board, sysrq)
    open_it = _emulated if board.emulated else _own
    return open_it(config, board, reports, power=power, sysrq=sysrq)


def _visit(config: LabConfig, board: BoardConfig, sysrq: str) -> int:
    """The console of another process."""
    deadline = time.monotonic() + _BETWEEN
    while True:
        path, holder = served(config, board)
        if path is not None:
            break
        if holder is None or time.monotonic() > deadline:
            who = (
                f"{board.name} is in use by {holder.words}, which reads no console now"
                if holder
                else "it has just ended"
            )
            raise InfraError(who, remedy="try again when that run boots the board; `piboot lab` shows all boards")
        _say(f"{board.name} is in use by {holder.words}; its console is not read just now, waiting")
        time.sleep(1.0)
    _say(f"{board.name}: attached to the console that another process reads; its log: {path.parent}; Ctrl-] leaves")
    return _talk(path, sysrq)


def _own(config: LabConfig, board: BoardConfig, reports: Path, *, power: bool, sysrq: str) -> int:
    """A real board's console that nobody reads."""
    from harness.lab.places import console_of, place_of  # noqa: PLC0415
    from harness.lab.switching import ours, power_of  # noqa: PLC0415
    from harness.power.port import cycle  # noqa: PLC0415

    open_console = console_of(board, place_of(config, board))
    if open_console is None:
        raise ConfigError(f"{board.name} has no `console:`", place=config.path, remedy="add console: to the board")
    folder = _folder(reports, board.name)
    with ExitStack() as stack:
        stack.enter_context(ours(config, board, folder))
        log = open_console(folder, lambda _event: None, lambda error: _say(str(error)))
        stack.callback(log.close)
        _say(f"{board.name}: {log.name} at {log.baud} baud; its log: {folder}; Ctrl-] leaves")
        if power:
            with power_of(config, board) as port:
                cycle(port, config.policy.off_time)
                _say(f"{board.name}: {port.identity} was switched off and on, {port.detail}")
        return _talk(folder / SOCKET, sysrq)


def _emulated(config: LabConfig, board: BoardConfig, reports: Path, *, power: bool, sysrq: str) -> int:
    """An emulated board lives in a run: one is made for it."""
    if not power:
        raise ConfigError(
            f"{board.name} is emulated, and no run has it now: it has no console",
            place=config.path,
            remedy=f"`piboot console {board.name} --power` starts it, and ends it when you leave",
        )
    from harness.lab import Lab  # noqa: PLC0415

    run = Run.create(reports, lab=config.name)
    with Lab(config, run, names=[board.name], progress=_say, wait=0.0) as lab:
        folder = lab.board(board.name).start()
        _say(f"{board.name}: it is on; its log: {folder}; Ctrl-] leaves and ends it")
        return _talk(folder / SOCKET, sysrq)


def _talk(path: Path, sysrq: str) -> int:
    with attach(path) as connection:
        if sysrq:
            connection.sendall(break_command(sysrq.encode()))
        why = converse(connection, sys.stdin.fileno(), sys.stdout.fileno())
        leave(connection)
    _say(why)
    return 0 if why == "left" else InfraError.exit_code


def _folder(reports: Path, board: str) -> Path:
    """Not a run: nothing is judged in it."""
    folder = reports / "console" / f"{board}-{timestamp()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    return folder


def _say(text: str) -> None:
    """Beside the console's text; a terminal in raw mode wants the return, too."""
    from harness.report.text import clean  # noqa: PLC0415

    print(clean(text), end="\r\n" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)
