# SPDX-License-Identifier: GPL-2.0-or-later
"""How many virtual machines a lab runs at once on this machine, whichever processes (pytest-xdist's workers) start them.

One file per turn, `turn-0` to `turn-<n-1>`, in a folder that the lab's path names; who holds its lock (flock) has a turn. The
kernel gives the lock back when the holder ends, however it ends, so that nothing stale is ever left.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from harness.errors import InfraError

VARIABLE = "PIBOOT_SCRATCH"
_DEFAULT = Path("/var/tmp/piboot")  # noqa: S108 - sticky; the folder below it is its user's alone
#: Seconds between two looks; there is no waiting for several locks at once.
_LOOK = 0.1
#: Seconds that a board may have to wait: longer than any boot of others, shorter than a night.
PATIENCE = 3600.0


def folder_for(lab: str) -> Path:
    """Where the turns of a lab lie. lab: what tells it from other labs, its file's path."""
    base = Path(os.environ.get(VARIABLE) or _DEFAULT).absolute()
    return base / f"turns-{os.geteuid()}-{hashlib.sha256(lab.encode()).hexdigest()[:16]}"


class Guests:
    """The turns of one lab, as one process takes them; thread-safe. most: how many there are."""

    def __init__(self, folder: Path, most: int, *, patience: float = PATIENCE) -> None:
        self.folder = folder
        self.most = most
        self._patience = patience
        self._held: dict[str, tuple[int, int]] = {}  # board: descriptor, thread that took it
        self._lock = threading.Lock()

    def take(self, board: str, waiting: Callable[[str], None] = lambda _text: None) -> None:
        """Return when the board has a turn; at once when it has one already. waiting: told once when it must wait.

        Raises InfraError when none comes within the patience, when the caller itself holds them all, or for the disk.
        """
        deadline, told = time.monotonic() + self._patience, False
        while not self._try(board):
            holders = self._holders()
            with self._lock:
                mine = [name for name, (_fd, thread) in self._held.items() if thread == threading.get_ident()]
            if len(mine) >= self.most:
                raise InfraError(
                    f"{board} would wait for ever for its turn: {', '.join(mine)} of the same test run already, and only "
                    f"{self.most} virtual machines may (emulation.guests)",
                    remedy=f"switch one off before (board.off()), or set emulation.guests to {len(mine) + 1} or more",
                )
            if not told:
                told = True
                waiting(f"waits for its turn, {self.most} virtual machines run already (emulation.guests): {holders}")
            if time.monotonic() > deadline:
                raise InfraError(
                    f"{board} had no turn within {self._patience:g} s; these had: {holders}",
                    place=str(self.folder),
                    remedy="end those runs, or raise emulation.guests",
                )
            time.sleep(_LOOK)

    def give_back(self, board: str) -> None:
        """The board is off: another may have its turn. Nothing happens when it had none."""
        with self._lock:
            fd, _thread = self._held.pop(board, (-1, 0))
        if fd >= 0:
            os.close(fd)

    def close(self) -> None:
        for board in list(self._held):
            self.give_back(board)

    def _try(self, board: str) -> bool:
        with self._lock:
            if board in self._held:
                return True
            try:
                _make(self.folder)
                for number in range(self.most):
                    fd = os.open(self.folder / f"turn-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                    try:
                        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        os.close(fd)
                        continue
                    self._held[board] = fd, threading.get_ident()
                    os.ftruncate(fd, 0)
                    os.pwrite(fd, json.dumps({"board": board, "pid": os.getpid()}).encode(), 0)
                    return True
            except OSError as error:
                raise InfraError(
                    f"the lab's turns cannot be kept: {error.strerror}",
                    place=str(self.folder),
                    remedy=f"set {VARIABLE} to a folder on a local disk that you may write to",
                ) from error
        return False

    def _holders(self) -> str:
        names = []
        for number in range(self.most):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found = json.loads((self.folder / f"turn-{number}").read_text(encoding="utf-8"))
                names.append(f"{found['board']} (process {found['pid']})")
        return ", ".join(names) or "not known"


def _make(folder: Path) -> None:
    base = folder.parent
    if not base.exists():
        base.mkdir(parents=True, exist_ok=True)
        base.chmod(0o1777)  # as /tmp: root and ordinary users may run labs on the same machine
    folder.mkdir(mode=0o700, exist_ok=True)
