# SPDX-License-Identifier: GPL-2.0-or-later
"""NFS in user space: nfs-ganesha, versions 3 and 4, and the rpcbind that version 3 needs. Both want root."""

import signal
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.servers.keeper_client import Keeper
from harness.servers.services import rpc
from harness.servers.services.service import READY_TIMEOUT, Service, render

_NFS_PORT = 2049
_ASK_TIMEOUT = 2.0
#: Seconds after which it is told once more to read its configuration.
_RELOAD_AGAIN = 1.0


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
        self._lock = threading.Lock()  # boards side by side are given clean roots at the same time
        self._numbers = 0
        self.exports = [self._numbered(export) for export in exports]

    def render(self) -> str:
        return render("ganesha.conf", {"address": self.address, "port": _NFS_PORT, "exports": self.exports})

    def command(self) -> Sequence[str]:
        return [
            "ganesha.nfsd",
            "-F",
            "-f",
            str(self.config),
            "-L",
            "/dev/stdout",
            "-p",
            f"/run/{self.name}.pid",
        ]

    def awaited(self) -> str:
        try:
            with connect(self.keeper, self.host, self.address, _NFS_PORT) as sock:
                rpc.call(sock, rpc.NFS, 3, 0)
            served = self.served()
        except OSError as error:
            return f"it does not answer on {self.address} ({error})"
        wanted = {export.path for export in self.exports}
        if absent := wanted - served:
            return f"it does not export {', '.join(sorted(absent))}"
        return f"it still exports {', '.join(sorted(served - wanted))}" if served - wanted else ""

    def served(self) -> set[str]:
        """What it exports now, asked of its mount service. Raises OSError when it does not answer."""
        with connect(self.keeper, self.host, self.address, rpc.PORTMAP_PORT) as sock:
            port = rpc.port_of(sock, rpc.MOUNT, 3)
        if not port:
            raise rpc.RpcError("its mount service is not registered")
        with connect(self.keeper, self.host, self.address, port) as sock:
            return set(rpc.exports(sock))

    def withdraw(self, path: str) -> None:
        """Stop serving an export: its clients' handles are stale from now on, other exports' clients notice nothing."""
        with self._lock:
            self.exports = [export for export in self.exports if export.path != path]
            self._reload()

    def add(self, export: Export) -> None:
        """Serve one more export, under a number that was not used before, so that no old handle is taken for a new one."""
        with self._lock:
            self.exports.append(self._numbered(export))
            self._reload()

    def _reload(self) -> None:
        if self.process is None or not self.process.running:
            return
        self.config.write_text(self.render(), encoding="utf-8")
        deadline, again = time.monotonic() + READY_TIMEOUT, 0.0
        while self.awaited() and time.monotonic() < deadline and not self.process.ended(0.02):
            # A signal that comes while it still reads its configuration is lost.
            if time.monotonic() >= again:
                self.process.signal(signal.SIGHUP)
                again = time.monotonic() + _RELOAD_AGAIN
        self.await_ready(self.process)

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
