# SPDX-License-Identifier: GPL-2.0-or-later
"""A web server: Python's own http.server, which knows nothing of Raspberry Pis and speaks HTTP/1.0, as many small ones do."""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.servers.keeper_client import Keeper
from harness.servers.services.service import Service

_TIMEOUT = 0.5


class Web(Service):
    """HTTP on one address and port of a host. root: what it serves. It is told all by its arguments."""

    program = sys.executable

    def __init__(self, keeper: Keeper, host: str, folder: Path, *, address: str, root: Path, port: int = 80) -> None:
        super().__init__("web" if port == 80 else f"web-{port}", keeper, host, folder)
        self.address = address
        self.port = port
        self.root = root

    def render(self) -> str:
        return ""

    def command(self) -> Sequence[str]:
        where = ["--bind", self.address, "--directory", str(self.root)]
        return [self.program, "-P", "-u", "-m", "http.server", *where, str(self.port)]

    def awaited(self) -> str:
        try:
            with self.keeper.socket(self.host, socket.AF_INET, socket.SOCK_STREAM) as sock:
                sock.settimeout(_TIMEOUT)
                sock.connect((self.address, self.port))
                sock.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
                answer = sock.recv(64)
        except OSError as error:
            return f"it does not answer on TCP port {self.port} ({error})"
        return "" if answer.startswith(b"HTTP/1.") else f"it answers {answer[:16]!r} on TCP port {self.port}"
