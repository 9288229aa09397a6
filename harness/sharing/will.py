# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's last will: a small process that brings the boards in order when the run ends without doing so itself (kill -9).

It is another program (executor.py, the standard library alone) in a session of its own, and knows of the run's end by its end of
a pipe. When it is ended too, the next run that opens the lab does the same.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.sharing import executor

#: File in the run's folder: what came of it.
LOG = "after-kill.log"


class Will:
    """folder: of the run, where the log goes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._armed: set[str] = set()

    def arm(self, board: str, argv: Sequence[str]) -> None:
        """Should this process end without `disarm`, `argv` is run. Best effort: without it the next run does that work."""
        with contextlib.suppress(OSError):
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", executor.__file__, str(self._folder / LOG)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the run, which then has time to do it itself
                )
            self._tell({"board": board, "argv": list(argv)})
            self._armed.add(board)

    def disarm(self, board: str) -> None:
        self._armed.discard(board)
        with contextlib.suppress(OSError):
            self._tell({"board": board})

    def close(self) -> None:
        """The run ends by itself: nothing is carried out, the process ends."""
        for board in list(self._armed):
            self.disarm(board)
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(10.0)  # nothing is armed: it ends at once
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def pid(self) -> int:
        """Of the process; 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    def _tell(self, line: dict[str, object]) -> None:
        if self._process is not None and self._process.stdin is not None:
            os.write(self._process.stdin.fileno(), json.dumps(line).encode() + b"\n")


def release(board: str, lab: str) -> list[str]:
    """The command that takes over a board whose run has died, and brings it where the lab's policy says."""
    file = str(Path(lab).resolve())
    return [sys.executable, "-P", "-m", "harness.cli", "lab", "release", board, "--lab", file]
