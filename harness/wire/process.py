# SPDX-License-Identifier: GPL-2.0-or-later
"""How a capture program is started: on this host, or by whoever else can (the rig's keeper, ssh)."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Protocol

from harness.urgency import hurried

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # tcpdump's home on older systems, not on an ordinary user's PATH


class Process(Protocol):
    """A running program."""

    @property
    def returncode(self) -> int | None:
        """None while it is known to run; negative: the signal that ended it."""
        ...

    def signal(self, number: int, /) -> object:
        """Send it a signal; no error when it has ended."""
        ...

    def wait(self, timeout: float, /) -> int:
        """Its return code. Raises TimeoutError or InfraError when it still runs after `timeout` seconds."""
        ...


class Spawn(Protocol):
    def __call__(self, argv: Sequence[str], stdout_fd: int, stderr_fd: int, /) -> Process:
        """Start a program with these descriptors (the caller closes its own copies). Raises FileNotFoundError when it
        is not installed, OSError or InfraError when it cannot be started.
        """
        ...


class _Local:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float) -> int:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(str(error)) from error


def local(argv: Sequence[str], stdout_fd: int, stderr_fd: int) -> Process:
    """Start a program on this host, in a session of its own: Ctrl-C at the terminal is the harness's to handle."""
    path = f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"
    program = shutil.which(argv[0], path=path)
    if program is None:
        raise FileNotFoundError(argv[0])
    process = subprocess.Popen(
        hurried([program, *argv[1:]]),
        stdin=subprocess.DEVNULL,
        stdout=stdout_fd,
        stderr=stderr_fd,
        start_new_session=True,
    )
    return _Local(process)
