# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a TFTP server answers: it is asked for a file that nobody has, and must say so (RFC 1350)."""

import socket
from pathlib import Path

from harness.servers.keeper_client import Keeper
from harness.servers.services.service import Service

PORT = 69
_ERROR = b"\0\x05"
_TIMEOUT = 0.3
_NAME = b"is-anybody-there"


def unanswered(keeper: Keeper, host: str, address: str) -> str:
    """Empty when the server at `address`, asked from `host`, sends an ERROR packet; else what is awaited of it."""
    try:
        with keeper.socket(host, socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(_TIMEOUT)
            sock.bind((address, 0))
            sock.sendto(b"\0\x01" + _NAME + b"\0octet\0", (address, PORT))
            # A server answers from a port of its own for each request.
            answer, _ = sock.recvfrom(1024)
    except OSError as error:
        return f"it does not answer on UDP port {PORT} ({error})"
    return (
        "" if answer.startswith(_ERROR) else f"it answers {answer[:4].hex()} to a request for a file that is not there"
    )


class TftpServer(Service):
    """TFTP on one address of a host. tftp_root: what it serves. It is told all by its arguments and has no configuration."""

    def __init__(self, name: str, keeper: Keeper, host: str, folder: Path, *, address: str, tftp_root: Path) -> None:
        super().__init__(name, keeper, host, folder)
        self.address = address
        self.tftp_root = tftp_root

    def render(self) -> str:
        return ""

    def awaited(self) -> str:
        return unanswered(self.keeper, self.host, self.address)
