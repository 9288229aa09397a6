# SPDX-License-Identifier: GPL-2.0-or-later
"""The leases of one opened lab: taken when a board is lent, kept alive by a thread, given back when the board is free."""

import contextlib
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.config import BoardConfig, LabConfig
from harness.errors import HarnessError, InfraError
from harness.sharing.folder import LeaseFolder, default_folder
from harness.sharing.holder import BEAT, Holder
from harness.sharing.lease import Lease, Locks

#: Seconds between two looks at a board that somebody else has.
_LOOK = 0.25


def locks_of(lab: LabConfig) -> Locks:
    return Locks(LeaseFolder(Path(lab.locks) if lab.locks else default_folder()))


def key_of(lab: LabConfig, board: BoardConfig, otherwise: str = "") -> str:
    """Name of a board's lease. A real board's is its MAC address: two lab files that describe it mean the same board. An
    emulated board exists once for each lab file; otherwise: what stands for the file of a lab that has none.
    """
    if not board.emulated:
        return board.mac.replace(":", "")
    file = str(Path(lab.path).resolve()) if lab.path else otherwise
    return f"{hashlib.sha256(file.encode()).hexdigest()[:12]}-{board.name}"


class Leases:
    """keys: board: name of its lease. wait: seconds to wait for a board that somebody has. what, run: told to others."""

    def __init__(self, locks: Locks, keys: Mapping[str, str], *, wait: float, what: str = "", run: str = "") -> None:
        self.wait = wait
        self._locks, self._keys, self._what, self._run = locks, keys, what, run
        self._held: dict[str, Lease] = {}
        self._lost: dict[str, Holder] = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, board: str, waiting: Callable[[str], None] = lambda _text: None) -> Lease | None:
        """Return when the board is ours: its lease when it was not before, None when it is ours already.

        waiting: told who has it, when it must be waited for. InfraError: it is not free within the time, or cannot be locked.
        """
        began, told = time.monotonic(), ""
        try:
            while True:
                if (taken := self._try(board)) is None or isinstance(taken, Lease):
                    return taken
                if time.monotonic() - began >= self.wait:
                    raise self._busy(board, taken)
                if told != (told := f"it is in use by {taken.words}"):
                    waiting(told)
                self._not_for_each_other(board, taken)
                time.sleep(min(_LOOK, max(0.01, began + self.wait - time.monotonic())))
        finally:
            if told:
                self._waits_for("")

    def _try(self, board: str) -> Lease | Holder | None:
        """The lease, who has the board, or None when it is ours already."""
        with self._lock:
            if board in self._held:
                return None
            taken = self._locks.take(self._keys[board], Holder.myself(board, what=self._what, run=self._run))
            if isinstance(taken, Lease):
                self._held[board] = taken
                self._lost.pop(board, None)
                self._keep_alive()
            return taken

    def _waits_for(self, key: str) -> None:
        """Tell those who want our boards what we wait for, meanwhile."""
        with self._lock:
            for lease in self._held.values():
                if lease.holder.waits != key:
                    lease.update(waits=key)

    def _not_for_each_other(self, board: str, holder: Holder) -> None:
        """InfraError when it waits for a board of ours: of the two, this process is then the one to give up."""
        self._waits_for(self._keys[board])
        with self._lock:
            ours = [name for name in self._held if self._keys[name] == holder.waits]
            if ours and (socket.gethostname(), os.getpid()) > (holder.host, holder.pid):
                raise InfraError(
                    f"{board} would be waited for for ever: {holder.words} has it, and waits for {ours[0]}, which this run has",
                    remedy="let tests that use several boards at once take them in the same order, that of lab.yaml",
                )

    def has(self, board: str) -> bool:
        with self._lock:
            return board in self._held

    def check(self, board: str) -> None:
        """InfraError when the board was taken from us: this process was stopped, or gave no sign of life for a minute."""
        with self._lock:
            if (lease := self._held.get(board)) is not None and (thief := lease.check()) is not None:
                self._taken_away(board, thief)
            if (by := self._lost.get(board)) is not None:
                raise InfraError(
                    f"{board} was taken from this run, which gave no sign of life for too long: {by.words} has it now",
                    remedy="do not stop a run that has boards (Ctrl-Z); on a suspended machine start it anew",
                )

    def update(self, board: str, **changes: str) -> None:
        """Change what others read of our lease: `place`."""
        with self._lock:
            self._held[board].update(**changes)

    def give_back(self, board: str) -> None:
        """The board is in order, another may have it. Nothing happens when it was not ours."""
        with self._lock:
            if (lease := self._held.pop(board, None)) is not None:
                lease.give_back()

    def leave(self, board: str) -> None:
        """Another may have the board, and has to bring it in order."""
        with self._lock:
            if (lease := self._held.pop(board, None)) is not None:
                lease.leave()

    def close(self) -> None:
        """Give all back; safe to repeat."""
        self._stop.set()
        with self._lock:
            for board in list(self._held):
                with contextlib.suppress(HarnessError, OSError):
                    self.give_back(board)

    def _busy(self, board: str, holder: Holder) -> InfraError:
        waited = f"; waited {self.wait:g} s" if self.wait else ""
        remedy = f"wait longer (--wait, policy.wait), or ask {holder.user} to end that run"
        if holder.gone is False:
            remedy += f" (on this host: kill -INT {holder.pid})"
        return InfraError(
            f"{board} is in use by {holder.words}{waited}", remedy=f"{remedy}; `piboot lab` shows all boards"
        )

    def _keep_alive(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)
            self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            with self._lock:
                for board, lease in list(self._held.items()):
                    # A full disk or a closed gate: the next sign comes soon enough, and the lock is held meanwhile.
                    with contextlib.suppress(HarnessError, OSError):
                        if (thief := lease.beat()) is not None:
                            self._taken_away(board, thief)

    def _taken_away(self, board: str, thief: Holder) -> None:
        self._held.pop(board, None)
        self._lost[board] = thief
