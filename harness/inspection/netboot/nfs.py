# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks an NFS server for a board's root: MOUNT's list and a mount that is taken back (version 3), a walk to it (version 4)."""

import socket
import struct
from collections.abc import Iterator

from harness.inspection.netboot.seen import Point
from harness.servers.services import rpc

NFS_PORT = 2049
_TIMEOUT = 3.0
_PUTROOTFH, _LOOKUP, _GETFH = 24, 15, 10  # RFC 7530, 16.22, 16.13, 16.8
_NOT_THERE, _MINOR = {2, 20}, 10021
#: mountstat3 and nfsstat4 that concern who asks: this host is not the board.
_NOT_US = {1: "it may not be mounted from here (EPERM)", 13: "it may not be mounted from here (EACCES)"}
_NOT_US |= {10016: "it wants another security than AUTH_SYS here"}


def look(
    server: str, path: str, version: str | None, *, nfs_port: int = NFS_PORT, portmap_port: int = rpc.PORTMAP_PORT
) -> Iterator[Point]:
    """version: as in lab.yaml; None for any, which is 3 when the server has it. Never raises for what the server says."""
    wanted = "3" if version is None else version.partition(".")[0]
    what = f"NFS at {server}"
    try:
        spoken = _versions(server, nfs_port)
    except OSError as error:
        yield Point(
            what, "fault", f"no NFS server answers at TCP port {nfs_port}: {_said(error)}", "start it; see its firewall"
        )
        return
    if wanted not in spoken and version is None:
        wanted = "4"
    if wanted not in spoken:
        told = " and ".join(sorted(spoken)) or "none that is known"
        yield Point(what, "fault", f"it does not speak NFS version {wanted}, only {told}", "switch it on at the server")
        return
    yield Point(what, "ok", f"speaks NFS version {' and '.join(sorted(spoken))}")
    try:
        yield from _export3(server, path, portmap_port) if wanted == "3" else _export4(server, path, nfs_port)
    except (OSError, struct.error) as error:
        yield Point(
            f"export {path}",
            "fault",
            f"it cannot be asked for: {_said(error)}",
            "see the server's log and its firewall",
        )


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _connect(server: str, port: int) -> socket.socket:
    return socket.create_connection((server, port), _TIMEOUT)


def _versions(server: str, port: int) -> set[str]:
    found = set()
    for version in (3, 4):
        with _connect(server, port) as sock:
            try:
                rpc.call(sock, rpc.NFS, version, 0)
                found.add(str(version))
            except rpc.RpcError:
                continue
    return found


def _export3(server: str, path: str, portmap_port: int) -> Iterator[Point]:
    what = f"export {path}"
    try:
        with _connect(server, portmap_port) as sock:
            port = rpc.port_of(sock, rpc.MOUNT, 3)
    except OSError as error:
        yield Point(
            what,
            "fault",
            f"its port mapper does not answer at TCP port {portmap_port}: {_said(error)}",
            "start rpcbind, open TCP and UDP 111: a mount of version 3 asks it first",
        )
        return
    if not port:
        yield Point(what, "fault", "no mount service is registered with its port mapper", "start mountd (nfs-server)")
        return
    with _connect(server, port) as sock:
        exports = rpc.exports(sock)
    if not any(_below(path, export) for export in exports):
        listed = ", ".join(exports[:8]) + (", …" if len(exports) > 8 else "") if exports else "nothing"
        yield Point(
            what,
            "fault",
            f"it is not exported; the server exports {listed}",
            f"add {path} to /etc/exports; exportfs -ra",
        )
        return
    try:
        with _connect(server, port) as sock:
            rpc.mount(sock, path)
        yield Point(what, "ok", "it is exported, and a mount was granted and taken back")
    except rpc.MountRefusedError as refused:
        yield _refused(what, refused.status)


def _export4(server: str, path: str, port: int) -> Iterator[Point]:
    what = f"export {path}"
    parts = [part for part in path.split("/") if part]
    operations = struct.pack(">I", _PUTROOTFH) + b"".join(
        struct.pack(">I", _LOOKUP) + _opaque(part.encode()) for part in parts
    )
    operations += struct.pack(">I", _GETFH)
    with _connect(server, port) as sock:
        # An empty tag, minor version 0, and so many operations (RFC 7530, 16.2).
        answer = rpc.call(sock, rpc.NFS, 4, 1, struct.pack(">III", 0, 0, len(parts) + 2) + operations)
    (status,) = struct.unpack_from(">I", answer)
    if status == 0:
        yield Point(what, "ok", "it is there (NFS version 4)")
    elif status == _MINOR:
        yield Point(what, "note", "this server speaks only 4.1 and later: whether the path is there was not asked")
    else:
        yield _refused(what, status)


def _refused(what: str, status: int) -> Point:
    if status in _NOT_THERE:
        return Point(what, "fault", "it is not there", "make the folder, or correct the path")
    if status in _NOT_US:
        return Point(what, "note", f"{_NOT_US[status]}; the board has another address")
    return Point(what, "fault", f"it was refused with status {status}", "see the server's log")


def _below(path: str, export: str) -> bool:
    path, export = path.rstrip("/"), export.rstrip("/")
    return path == export or path.startswith(f"{export}/")


def _opaque(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)
