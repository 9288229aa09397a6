# SPDX-License-Identifier: GPL-2.0-or-later
"""A lease: one process has a board. Who holds the lock (flock) on its file has it; what stands in the file only says who.

The kernel gives the lock back when its holder ends, however it ends. A holder that lives and gives no sign of life (it was
stopped, or a child of it kept the lock) loses the board: its file is replaced, which it notices at its next sign, or before it
switches power. A second lock, the gate, is held for an instant by whoever reads or changes the file.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Literal

from harness.clock import now
from harness.errors import InfraError
from harness.sharing.folder import LeaseFolder
from harness.sharing.holder import BEAT, Holder

#: Octets of a lease's file that are looked at; ours are shorter.
_LARGEST = 8192
#: Seconds that the gate may be closed.
_GATE = 10.0

State = Literal["free", "left", "held"]


class Lease:
    """What `take` gives. holder: as it stands in the file; previous: who had the board and did not give it back."""

    def __init__(self, locks: "Locks", key: str, fd: int, holder: Holder, previous: Holder | None) -> None:
        self.key = key
        self.holder = holder
        self.previous = previous
        self._locks = locks
        self._fd = fd
        self._last = time.monotonic()

    @property
    def held(self) -> bool:
        return self._fd >= 0

    def beat(self) -> Holder | None:
        """Give a sign of life. The holder who has the board now, when it was taken from us; else None."""
        if self._fd < 0:
            return None
        with self._locks.gate(self.key) as folder:
            if (thief := self._locks.thief(folder, self.key, self._fd)) is not None:
                self._close()
                return thief
            self.holder = replace(self.holder, heartbeat=now())
            self._last = time.monotonic()
            _write(self._fd, self.holder.text())
        return None

    def check(self) -> Holder | None:
        """As `beat`, at once, when the last sign is older than two beats: the process may have been stopped."""
        return self.beat() if time.monotonic() - self._last > 2 * BEAT else None

    def update(self, **changes: str) -> None:
        """Change what the file says of us."""
        self.holder = replace(self.holder, **changes)  # type: ignore[arg-type]
        self.beat()

    def give_back(self) -> None:
        """The board is free. Safe to repeat; nothing happens when it was taken from us."""
        if self._fd < 0:
            return
        with self._locks.gate(self.key) as folder:
            if self._locks.thief(folder, self.key, self._fd) is None:
                os.ftruncate(self._fd, 0)
            self._close()

    def leave(self) -> None:
        """End as a killed process does: the board is free, and who takes it next finds that it was not put in order."""
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Locks:
    """The leases of one folder."""

    def __init__(self, folder: LeaseFolder) -> None:
        self.folder = folder
        #: key: (the sign of life last seen of a silent holder, when it was first seen; this process' clock)
        self._silent: dict[str, tuple[Holder, float]] = {}

    def take(self, key: str, me: Holder) -> "Lease | Holder":
        """The lease, or who holds it. InfraError: the folder or the file is not fit, or the gate stays closed."""
        with self.gate(key) as folder:
            fd = self.folder.file(folder, _file(key))
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = Holder.read(os.pread(fd, _LARGEST, 0))
                os.close(fd)
                return self._taken_over(folder, key, me, holder)
            data = os.pread(fd, _LARGEST, 0)
            _write(fd, me.text())
            return Lease(self, key, fd, me, Holder.read(data))

    def look(self, key: str) -> tuple[State, Holder | None]:
        """Whether a board is free, left by a process that did not give it back, or held; and by whom. InfraError as `take`."""
        folder = self.folder.open(make=False)
        if folder is None:
            return "free", None
        try:
            fd = self.folder.read(folder, _file(key))
            if fd is None:
                return "free", None
            try:
                with self._gate(folder, key, make=False):
                    holder = Holder.read(os.pread(fd, _LARGEST, 0))
                    try:
                        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    except BlockingIOError:
                        return "held", holder
                    return ("left", holder) if holder is not None else ("free", None)
            finally:
                os.close(fd)
        finally:
            os.close(folder)

    @contextmanager
    def gate(self, key: str) -> Iterator[int]:
        """Alone with a board's file; gives the opened folder. InfraError when it does not come about within its time."""
        folder = self.folder.open(make=True)
        assert folder is not None  # noqa: S101 - it was made
        try:
            with self._gate(folder, key, make=True):
                yield folder
        finally:
            os.close(folder)

    def thief(self, folder: int, key: str, fd: int) -> Holder | None:
        """Who has put another file in the place of the one that we have locked."""
        with suppress(FileNotFoundError):
            status = os.stat(_file(key), dir_fd=folder, follow_symlinks=False)
            mine = os.fstat(fd)
            if (status.st_ino, status.st_dev) == (mine.st_ino, mine.st_dev):
                return None
        other = self.folder.read(folder, _file(key))
        if other is None:
            return _unnamed("nobody")
        try:
            return Holder.read(os.pread(other, _LARGEST, 0)) or _unnamed("somebody")
        finally:
            os.close(other)

    @contextmanager
    def _gate(self, folder: int, key: str, *, make: bool) -> Iterator[None]:
        name = f"{key}.gate"
        fd = self.folder.file(folder, name) if make else self.folder.read(folder, name)
        if fd is None:
            yield  # the board was never taken
            return
        deadline = time.monotonic() + _GATE
        try:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise InfraError(
                            f"somebody keeps the lab's locks closed for more than {_GATE:g} s",
                            place=str(self.folder.path / name),
                            remedy=f"see who: fuser -v {self.folder.path / name}",
                        ) from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(fd)

    def _taken_over(self, folder: int, key: str, me: Holder, holder: Holder | None) -> "Lease | Holder":
        """The lock is held: by one that gives no sign of life over two beats of our own time, then the board becomes ours."""
        if holder is None or not holder.stale:
            self._silent.pop(key, None)
            return holder or _unnamed("somebody")
        seen, since = self._silent.setdefault(key, (holder, time.monotonic()))
        if seen != holder:
            self._silent[key] = (holder, time.monotonic())
            return holder
        if time.monotonic() - since < 2 * BEAT:
            return holder
        name = f"{key}.{os.getpid()}.new"
        try:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            fd = self.folder.file(folder, name)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(fd, me.text())
            os.rename(name, _file(key), src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            with suppress(OSError, UnboundLocalError):
                os.close(fd)
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
            raise InfraError(
                f"{holder.board} is held by {holder.words}, which gave no sign of life for {holder.silent:.0f} s, and only its "
                f"user or root may take it away ({error.strerror})",
                place=str(self.folder.path / _file(key)),
                remedy=f"ask {holder.user} to end that run, or: sudo piboot lab release {holder.board}",
            ) from error
        del self._silent[key]
        return Lease(self, key, fd, me, holder)


def _file(key: str) -> str:
    return f"{key}.lease"


def _write(fd: int, data: bytes) -> None:
    os.pwrite(fd, data, 0)
    os.ftruncate(fd, len(data))


def _unnamed(user: str) -> Holder:
    """Who holds a lock without saying who; who removed a file and put none in its place."""
    return replace(Holder.myself("?"), user=user, pid=0, started=0, host="?", boot_id="", pid_space="")
