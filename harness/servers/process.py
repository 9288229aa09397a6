# SPDX-License-Identifier: GPL-2.0-or-later
"""A process of the rig, as its owner holds it."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from harness.errors import InfraError

CALL_TIMEOUT = 10.0
"""Seconds within which a keeper answers, on however loaded a machine."""


class _Signaller(Protocol):
    """What a process needs of the keeper that runs it."""

    @property
    def running(self) -> bool: ...
    def signal(self, key: int, number: int, *, group: bool) -> bool: ...


class Process:
    """A process that the keeper runs. `returncode` is as subprocess's, None while it runs; -9 when its keeper died."""

    def __init__(self, keeper: "_Signaller", key: int, argv: Sequence[str], log: Path | None) -> None:
        self.argv = list(argv)
        self.name = Path(argv[0]).name
        self.log = log
        self.pid = 0  # inside the rig's PID namespace
        self.returncode: int | None = None
        self._keeper = keeper
        self._key = key
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._on_exit: list[Callable[[int], None]] = []

    @property
    def running(self) -> bool:
        return self.returncode is None

    def ended(self, timeout: float) -> bool:
        """True as soon as the process has ended; False when it has not within `timeout` seconds."""
        return self._ended.wait(timeout)

    def wait(self, timeout: float) -> int:
        """The return code, as soon as there is one. Raises InfraError when the process still runs after `timeout` seconds."""
        if not self._ended.wait(timeout) or self.returncode is None:
            raise InfraError(f"{self.name} (process {self.pid}) still runs after {timeout:g} s{self.last_words()}")
        return self.returncode

    def signal(self, number: int, *, group: bool = False) -> bool:
        """Send a signal (group: also to the helpers that it started). False when it had ended before."""
        return self._keeper.signal(self._key, number, group=group)

    def stop(self, timeout: float = 5.0) -> int:
        """TERM, and after `timeout` seconds KILL; then whatever it left behind of its process group. Gives the return code."""
        if self.running:
            self.signal(signal.SIGTERM)
            if not self.ended(timeout):
                self.signal(signal.SIGKILL)
        if self._keeper.running:
            self.signal(signal.SIGKILL, group=True)
        return self.wait(CALL_TIMEOUT)

    def on_exit(self, callback: Callable[[int], None]) -> None:
        """Call `callback(returncode)` when the process ends (at once if it has).

        It is called from the thread that reads the keeper's answers, so it must not ask the keeper for anything.
        """
        with self._lock:
            if self.returncode is None:
                self._on_exit.append(callback)
                return
        callback(self.returncode)

    def last_words(self, lines: int = 8) -> str:
        """The end of its log, ready to be put behind an error's sentence; empty without one."""
        return last_lines(self.log, lines) if self.log else ""

    def _finish(self, status: int) -> None:
        with self._lock:
            if self.returncode is not None:
                return
            self.returncode = status
        self._ended.set()
        for callback in self._on_exit:
            callback(status)


def last_lines(path: Path, count: int = 8) -> str:
    """The end of a log as text to put behind an error's sentence: ":" and the lines, each indented; empty if there are none.

    A log may hold what came over the wire: control characters are shown, not passed on to a terminal.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16384))
            lines = file.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return ""
    shown = ["".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line) for line in lines]
    return "; its last lines:" + "".join(f"\n    {line}" for line in shown) if shown else ""
