# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m harness.servers.services.syslog PROGRAM...`: runs a program that speaks to syslog only, and prints what it says.

To be started in a mount namespace of its own (`unshare --mount`): /dev is covered there by an empty one with `/dev/log` in it,
so that the machine's own syslog hears nothing. Ends with the program's return code, and ends it when it is told to end.
"""

import os
import re
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

_PRIORITY = re.compile(rb"\A<\d{1,3}>")
_DEVICE = "/dev/log"


def run(command: Sequence[str]) -> int:
    """Run until the program ends; its return code."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", "/dev"]
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - before /dev is covered
        subprocess.run(mount, check=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind(_DEVICE)
            program = subprocess.Popen(command, stdin=nothing)
            signal.signal(signal.SIGTERM, lambda *_: program.terminate())
            copy(log, program)
    return program.returncode


def copy(log: socket.socket, program: "subprocess.Popen[bytes]") -> None:
    """Print every message, one line each, until the program has ended and all is read."""
    log.setblocking(False)
    pidfd = os.pidfd_open(program.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(log, selectors.EVENT_READ)
            selector.register(pidfd, selectors.EVENT_READ)
            ended = False
            while not ended:
                ended = any(key.fd == pidfd for key, _ in selector.select())
                drain(log)
    finally:
        os.close(pidfd)
    program.wait()


def drain(log: socket.socket) -> None:
    """Print what is there, without syslog's priority."""
    while True:
        try:
            message = log.recv(8192)
        except BlockingIOError:
            return
        text = _PRIORITY.sub(b"", message).rstrip(b"\n\0").decode("utf-8", "replace")
        print("".join(c if c.isprintable() else repr(c)[1:-1] for c in text), flush=True)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
