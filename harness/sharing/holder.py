# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has a board: what stands in its lease's file for others to read. Others wrote it, too: nothing of it is trusted."""

import getpass
import json
import os
import socket
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from harness.clock import now
from harness.config.mistakes import plain

#: Seconds between two signs of life of a holder.
BEAT = 5.0
#: Seconds without one after which a holder counts as gone: twelve missed ones are no busy machine.
STALE = 60.0


@dataclass(frozen=True)
class Holder:
    """A process that has a board.

    pid counts in the namespace `pid_space` of the machine run `boot_id`; started: its start, clock ticks since that machine's
    start (proc(5), stat, field 22): together they name a process for ever. since, heartbeat: epoch seconds. what: its command
    as typed; run: its run's folder; place: the labgrid place that it has acquired, "" when none; waits: the lease of another
    board that it is waiting for, "" when it is not.
    """

    board: str
    user: str
    host: str
    pid: int
    started: int
    boot_id: str
    pid_space: str
    since: float
    heartbeat: float
    what: str = ""
    run: str = ""
    place: str = ""
    waits: str = ""

    @classmethod
    def myself(cls, board: str, *, what: str = "", run: str = "", place: str = "") -> "Holder":
        """This process, from now on."""
        t = now()
        return cls(
            board=board,
            user=_user(),
            host=socket.gethostname(),
            pid=os.getpid(),
            started=_started(os.getpid()) or 0,
            boot_id=_boot_id(),
            pid_space=_pid_space(),
            since=t,
            heartbeat=t,
            what=what[:500],
            run=run,
            place=place,
        )

    @classmethod
    def read(cls, data: bytes) -> "Holder | None":
        """The holder that a lease's file names; None when it names none, or holds anything else."""
        try:
            row = json.loads(data)
            return cls(**{field.name: _checked(row[field.name], field.type) for field in fields(cls)})
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    def text(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @property
    def gone(self) -> bool | None:
        """Whether its process has ended; None when that cannot be told from here (another host, another container)."""
        if self.host != socket.gethostname():
            return None
        if self.boot_id != _boot_id():
            return True  # this machine has been started anew since
        if self.pid_space != _pid_space():
            return None
        return _started(self.pid) != self.started

    @property
    def silent(self) -> float:
        """Seconds since its last sign of life, by this machine's clock."""
        return time.time() - self.heartbeat

    @property
    def stale(self) -> bool:
        """Whether it counts as gone: its process is, or has given no sign of life for a minute."""
        # A sign from the future is none either: the clock was stepped back, or somebody wrote nonsense.
        return self.gone is True or abs(self.silent) > STALE

    @property
    def brief(self) -> str:
        """As `words`, for a table."""
        return plain(
            f"{self.user}@{self.host} since {_when(self.since)} (process {self.pid}: {self.what[:40] or '?'})", 160
        )

    @property
    def words(self) -> str:
        """For people, safe for a terminal: "alice@lab1 since 11:40 (process 123: pytest -m pi4, run reports/…)"."""
        what = f": {self.what}" if self.what else ""
        run = f", run {self.run}" if self.run else ""
        return plain(f"{self.user}@{self.host} since {_when(self.since)} (process {self.pid}{what}{run})", 600)


def _checked(value: Any, kind: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{value!r} is not of {kind}")
    if isinstance(value, (int, float)) and not abs(value) < 1e12:  # not a number, too
        raise ValueError(f"{value!r} is no time and no process")
    return value


def _when(t: float) -> str:
    """Local time, with the date unless it is today's."""
    try:
        local, today = time.localtime(t), time.localtime()
    except (OverflowError, ValueError, OSError):
        return "?"
    return time.strftime("%H:%M:%S" if local[:3] == today[:3] else "%Y-%m-%d %H:%M", local)


def _user() -> str:
    """Who called, also under sudo."""
    try:
        return os.environ["SUDO_USER"] if os.geteuid() == 0 and "SUDO_USER" in os.environ else getpass.getuser()
    except (KeyError, OSError):
        return str(os.geteuid())


def _started(pid: int) -> int | None:
    """Start time of a process, clock ticks since the machine's start; None when there is none, or only its zombie."""
    try:
        # The program's name, in brackets, may hold anything; after it come state (field 3) and the rest.
        rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return int(rest[19]) if len(rest) > 19 and rest[0] not in {"Z", "X"} else None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _pid_space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
