# SPDX-License-Identifier: GPL-2.0-or-later
"""Consoles that are being read, found by other processes of the same user: the newest log of the run that has the board, or a
name for the line in this user's runtime folder.
"""

import contextlib
import hashlib
import os
from pathlib import Path

from harness.boot.events import Noted
from harness.clock import now
from harness.config import BoardConfig, LabConfig, SerialConsole
from harness.console.log import ConsoleLog
from harness.console.opening import open_line
from harness.console.port import BytePort
from harness.console.share import SOCKET, ConsoleShare, serves
from harness.console.shared_port import SharedPort
from harness.errors import HarnessError, InfraError
from harness.power.gpio_relay import runtime_folder
from harness.run import journal
from harness.sharing.holder import Holder
from harness.sharing.leases import key_of, locks_of


def shared(console: ConsoleLog, folder: Path, line: str = "") -> ConsoleLog:
    """Let others have `console`, whose log is in `folder`; line: its name in lab.yaml, "" when only the run's folder tells.

    What cannot be shared is read all the same. That somebody typed on it stands among the remarks of the boot.
    """

    def typed(who: str) -> None:
        journal.append(folder / "harness.jsonl", Noted(now(), f"{who} typed on the console"))

    with contextlib.suppress(InfraError):
        share = ConsoleShare(console, folder, typed)
        if line:
            _register(share.path.resolve(), line, console)
    return console


def served(lab: LabConfig, board: BoardConfig) -> tuple[Path | None, Holder | None]:
    """Where the board's console is served, None when nowhere; and who has the board. InfraError: the lab's locks are not fit."""
    state, holder = locks_of(lab).look(key_of(lab, board))
    holder = holder if state == "held" else None
    if isinstance(board.console, SerialConsole):
        with contextlib.suppress(OSError, HarnessError):
            name = runtime_folder() / _name(board.console.line)
            if serves(name):
                return name.resolve(), holder
    if holder is not None and holder.run:
        run = Path(holder.run)
        found = [run / SOCKET, *run.glob(f"{board.name}/{SOCKET}"), *run.glob(f"{board.name}.*/{SOCKET}")]
        there = sorted((path for path in found if path.is_socket()), key=lambda path: -path.stat().st_mtime)
        return next((path for path in there if serves(path)), None), holder
    return None, holder


def open_or_attach(config: SerialConsole) -> BytePort:
    """A line of lab.yaml; by way of another process of the same user when that one reads it. Errors as `open_line`."""
    try:
        return open_line(config)
    except InfraError as error:
        with contextlib.suppress(OSError, HarnessError):
            name = runtime_folder() / _name(config.line)
            if "in use" in error.what and serves(name):
                return SharedPort(name.resolve(), config.line)
        raise


def _register(path: Path, line: str, console: ConsoleLog) -> None:
    try:
        name = runtime_folder() / _name(line)
        if serves(name):  # who reads the line itself is found by it: we only share what that one shares
            return
        beside = name.with_name(f"{name.name}.{os.getpid()}")
        beside.symlink_to(path)
        beside.replace(name)
    except (OSError, HarnessError):
        return

    def forget() -> None:
        with contextlib.suppress(OSError):
            if name.readlink() == path:
                name.unlink()

    console.after(forget)


def _name(line: str) -> str:
    real = str(Path(line).resolve()) if line.startswith("/") else line
    return f"console-{hashlib.sha256(real.encode()).hexdigest()[:16]}.sock"
