# SPDX-License-Identifier: GPL-2.0-or-later
"""Ceph: a monitor, an OSD and, if wanted, a manager, real ones, on one host; started in seconds and gone with the rig."""

import base64
import ipaddress
import json
import os
import secrets
import socket
import struct
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import InfraError
from harness.servers.keeper_client import Keeper
from harness.servers.process import Process
from harness.servers.services.exactly import exactly
from harness.servers.services.nfs import connect
from harness.servers.services.service import Service, render
from harness.servers.services.tool import run_tool

MON_PORT = 6789
"""Of the messenger's first version, which kernels and scripts ask unless told otherwise (3300: its second)."""
POOL = "rbd"
CLIENT = "pi"
_RUN = "/run/ceph"
_GIB = 1 << 30
_CAPABILITIES = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *", "mgr": "allow profile osd"},
    "mgr.x": {"mon": "allow profile mgr", "osd": "allow *"},
    f"client.{CLIENT}": {"mon": "profile rbd", "osd": f"profile rbd pool={POOL}"},
}


def new_key() -> str:
    """A cephx key: type 1 (AES), when it was made, its length, 16 octets (CryptoKey::encode of Ceph), as base64."""
    return base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, 16) + secrets.token_bytes(16)).decode()


@dataclass(frozen=True)
class Cluster:
    """What its daemons share. address: the host's, "10.77.0.3/24"; data: a directory of the rig's own, for keys too.

    key: of the boards' client. size: octets that the OSD says it has. store: where it keeps its objects, "memstore" (memory; they
    are gone when it is killed) or "bluestore" (a sparse file in `data`).
    """

    keeper: Keeper
    host: str
    folder: Path
    data: Path
    address: str
    key: str
    size: int = 4 * _GIB
    store: str = "memstore"
    fsid: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def ip(self) -> str:
        return self.address.partition("/")[0]

    @property
    def config(self) -> Path:
        return self.folder / "ceph.conf"

    @property
    def keyring(self) -> Path:
        return self.data / "keyring"

    def write(self) -> None:
        """Configuration and keys, once: a restarted daemon finds the cluster that it knows."""
        if self.keyring.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        values = {
            "fsid": self.fsid,
            "address": self.ip,
            "network": ipaddress.ip_interface(self.address).network,
            "keyring": self.keyring,
            "run": _RUN,
            "data": self.data,
            "size": self.size,
            "store": self.store,
        }
        self.config.write_text(render("ceph.conf", values), encoding="utf-8")
        lines = []
        for entity, capabilities in _CAPABILITIES.items():
            lines += [f"[{entity}]", f"key = {self.key if entity == f'client.{CLIENT}' else new_key()}"]
            lines += [f'caps {service} = "{what}"' for service, what in capabilities.items()]
        with os.fdopen(os.open(self.keyring, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("\n".join(lines) + "\n")
        run_tool(self.keeper, self.host, ["mkdir", "-p", _RUN], "making a folder for Ceph's sockets")

    def tool(self, *argv: str, what: str, timeout: float = 60.0) -> str:
        """What a program of Ceph's says (ceph, rbd, ceph-mon --mkfs ...). Raises InfraError."""
        return run_tool(self.keeper, self.host, [argv[0], "-c", str(self.config), *argv[1:]], what, timeout=timeout)

    def ask(self, daemon: str, command: str) -> Mapping[str, Any]:
        """A daemon's answer on its admin socket. Raises OSError or ValueError when it does not answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(2.0)
            # The rig's /run is its own; the kernel shows it here.
            sock.connect(f"/proc/{self.keeper.pid}/root{_RUN}/{daemon}.asok")
            sock.sendall(json.dumps({"prefix": command, "format": "json"}).encode() + b"\0")
            (length,) = struct.unpack(">I", exactly(sock, 4))
            answer = json.loads(exactly(sock, length))
        if not isinstance(answer, dict):
            raise ConnectionError(f"{daemon} answered {type(answer).__name__} to {command}")
        return answer


class _Daemon(Service):
    """daemon: its name in the cluster, such as "osd.0"."""

    def __init__(self, cluster: Cluster, daemon: str) -> None:
        super().__init__(f"ceph-{daemon.partition('.')[0]}", cluster.keeper, cluster.host, cluster.folder)
        self.cluster = cluster
        self.daemon = daemon
        self.config = cluster.config
        self.data = cluster.data / daemon

    def render(self) -> str:
        self.cluster.write()
        return ""  # one file for all of them

    def command(self) -> Sequence[str]:
        return [self.program, "-f", "-i", self.daemon.partition(".")[2], "-c", str(self.config)]

    def stop(self) -> None:
        """End it in order: an OSD writes down what it has in memory first, which takes a while."""
        if self.process is not None:
            self.process.stop(30.0)

    def make(self, *more: str) -> None:
        """Its empty store."""
        self.data.mkdir(parents=True, exist_ok=True)
        number = self.daemon.partition(".")[2]
        self.cluster.tool(self.program, "--mkfs", "-i", number, *more, what=f"making the store of {self.daemon}")

    def state(self, command: str, wanted: Sequence[str]) -> str:
        """What it is not yet, by its admin socket; "" when it is."""
        try:
            state = str(self.cluster.ask(self.daemon, command).get("state", ""))
        except (OSError, ValueError) as error:
            return f"it does not answer on its admin socket ({error})"
        return "" if state in wanted else f"its state is {state!r}, not {' or '.join(wanted)}"


class CephMon(_Daemon):
    """The monitor; alone, it is the leader of its quorum within a second."""

    program = "ceph-mon"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "mon.a")

    def launch(self) -> Process:
        if not self.data.exists():
            cluster, monmap = self.cluster, str(self.cluster.data / "monmap")
            where = f"[v2:{cluster.ip}:3300,v1:{cluster.ip}:{MON_PORT}]"
            words = ("--create", "--clobber", "--fsid", cluster.fsid, "--addv", "a", where, monmap)
            run_tool(self.keeper, self.host, ["monmaptool", *words], "making the cluster's map of monitors")
            self.make("--monmap", monmap, "--keyring", str(cluster.keyring))
        return super().launch()

    def awaited(self) -> str:
        if waits := self.state("mon_status", ("leader",)):
            return waits
        try:
            connect(self.keeper, self.host, self.cluster.ip, MON_PORT).close()
        except OSError as error:
            return f"it does not answer on {self.cluster.ip} port {MON_PORT} ({error})"
        return ""


class CephOsd(_Daemon):
    """The object store, and the pool that the volumes are in."""

    program = "ceph-osd"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "osd.0")

    def launch(self) -> Process:
        if not self.data.exists():
            own = str(uuid.uuid4())
            number = self.cluster.tool("ceph", "osd", "new", own, what="telling the monitor of the OSD").split()[-1]
            if number != "0":
                raise InfraError(f"the first OSD of a new cluster got the number {number}", place=str(self.log))
            self.make("--osd-uuid", own)
            self.cluster.tool("ceph", "osd", "pool", "create", POOL, "8", "8", "replicated", what="making the pool")
        return super().launch()

    def awaited(self) -> str:
        return self.state("status", ("active",))


class CephMgr(_Daemon):
    """The manager, 300 MB. Nothing here needs it; `ceph df`, `ceph pg stat` and the dashboard do, seconds after its start."""

    program = "ceph-mgr"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "mgr.x")

    def awaited(self) -> str:
        try:
            self.cluster.ask(self.daemon, "status")
        except (OSError, ValueError) as error:
            return f"it does not answer on its admin socket ({error})"
        return ""
