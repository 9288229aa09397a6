# SPDX-License-Identifier: GPL-2.0-or-later
"""NFS in user space: nfs-ganesha, versions 3 and 4, and the rpcbind that version 3 needs. Both want root."""

import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import InfraError
from harness.servers.keeper_client import Keeper
from harness.servers.services import rpc
from harness.servers.services.service import Service, render

_NFS_PORT = 2049
_ASK_TIMEOUT = 2.0


class Rpcbind(Service):
    """The port mapper. ganesha registers with it at its start, and does not start without ("Cannot register NFS V3 on TCP")."""

    program = "rpcbind"

    def __init__(self, keeper: Keeper, host: str, folder: Path, *, name: str = "rpcbind") -> None:
        super().__init__(name, keeper, host, folder)

    def render(self) -> str:
        return ""

    def command(self) -> Sequence[str]:
        return ["rpcbind", "-f"]

    def awaited(self) -> str:
        try:
            with connect(self.keeper, self.host, "127.0.0.1", rpc.PORTMAP_PORT) as sock:
                rpc.call(sock, rpc.PORTMAP, 2, 0)
        except OSError as error:
            return f"it does not answer on TCP port {rpc.PORTMAP_PORT} ({error})"
        return ""


@dataclass(frozen=True)
class Export:
    """A directory that is served. path: what clients ask for; directory: what they get, as the rig's processes see it.

    number: ganesha's Export_Id, also the Filesystem_id, by which clients tell file systems apart; 0 to have one given.
    """

    path: str
    directory: str
    number: int = 0


class Nfs(Service):
    """NFS v3 and v4 on the standard port. address: where it listens."""

    program = "ganesha.nfsd"

    def __init__(
        self,
        keeper: Keeper,
        host: str,
        folder: Path,
        *,
        address: str,
        exports: Sequence[Export],
        name: str = "ganesha",
    ) -> None:
        super().__init__(name, keeper, host, folder)
        self.address = address
        self._numbers = 0
        self.exports = [self._numbered(export) for export in exports]

    def render(self) -> str:
        return render("ganesha.conf", {"address": self.address, "port": _NFS_PORT, "exports": self.exports})

    def command(self) -> Sequence[str]:
        return ["ganesha.nfsd", "-F", "-f", str(self.config), "-L", "/dev/stdout", "-p", f"/run/{self.name}.pid"]

    def awaited(self) -> str:
        try:
            with connect(self.keeper, self.host, self.address, _NFS_PORT) as sock:
                rpc.call(sock, rpc.NFS, 3, 0)
            with connect(self.keeper, self.host, self.address, rpc.PORTMAP_PORT) as sock:
                port = rpc.port_of(sock, rpc.MOUNT, 3)
            if not port:
                return "its mount service is not registered"
            with connect(self.keeper, self.host, self.address, port) as sock:
                absent = {export.path for export in self.exports} - set(rpc.exports(sock))
        except OSError as error:
            return f"it does not answer on {self.address} ({error})"
        return f"it does not export {', '.join(sorted(absent))}" if absent else ""

    def _numbered(self, export: Export) -> Export:
        self._numbers += 1
        return replace(export, number=self._numbers)


def connect(keeper: Keeper, host: str, address: str, port: int) -> socket.socket:
    """A TCP connection that leaves from a host of the rig. Raises OSError."""
    sock = keeper.socket(host, socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(_ASK_TIMEOUT)
    try:
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock
