# SPDX-License-Identifier: GPL-2.0-or-later
"""As much of ONC RPC (RFC 5531), the port mapper (RFC 1833) and MOUNT (RFC 1813, appendix I) as it takes to ask a server
whether it is there."""

import secrets
import socket
import struct

from harness.servers.services.exactly import exactly

PORTMAP, NFS, MOUNT = 100000, 100003, 100005
_PMAP_VERSION, _PMAP_GETPORT = 2, 3
_MOUNT_MNT, _MOUNT_UMNT, _MOUNT_EXPORT = 1, 3, 5
PORTMAP_PORT = 111
_CALL, _LAST_FRAGMENT = 0, 0x80000000
_LONGEST_REPLY = 1 << 20
# AUTH_SYS (1): a stamp, no machine name, user 0, group 0, no other groups; 20 bytes. AUTH_NONE (0), 0 bytes.
_ROOT = struct.pack(">7I", 1, 20, 0, 0, 0, 0, 0)
_NO_VERIFIER = struct.pack(">2I", 0, 0)


class RpcError(OSError):
    """The server answered, but not with a result: unknown program or version, garbage, a refusal."""


class MountRefusedError(RpcError):
    """status: mountstat3."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"mounting {path} was refused with status {status:08x} (RFC 1813, mountstat3)")
        self.status = status


def call(sock: socket.socket, program: int, version: int, procedure: int, arguments: bytes = b"") -> bytes:
    """One call over a connected TCP socket with a timeout; gives the result's XDR. Raises OSError, RpcError among it."""
    number = secrets.randbits(32)
    message = struct.pack(">IIIIII", number, _CALL, 2, program, version, procedure) + _ROOT + _NO_VERIFIER + arguments
    sock.sendall(struct.pack(">I", _LAST_FRAGMENT | len(message)) + message)
    reply = _record(sock)
    if len(reply) < 20:
        raise RpcError("a reply that is too short")
    answered, kind, denied, _flavour, verifier = struct.unpack_from(">IIIII", reply)
    at = 20 + verifier + (-verifier % 4)
    if answered != number or kind != 1 or denied != 0 or len(reply) < at + 4:
        raise RpcError("a reply that is not one to this call, or a refusal")
    (status,) = struct.unpack_from(">I", reply, at)
    if status != 0:
        raise RpcError(
            f"program {program} version {version} refused the call with status {status} (RFC 5531, accept_stat)"
        )
    return reply[at + 4 :]


def port_of(sock: socket.socket, program: int, version: int) -> int:
    """The TCP port of a program, asked of a port mapper; 0 when it is not registered."""
    arguments = struct.pack(">IIII", program, version, socket.IPPROTO_TCP, 0)
    (port,) = struct.unpack_from(">I", call(sock, PORTMAP, _PMAP_VERSION, _PMAP_GETPORT, arguments).ljust(4, b"\0"))
    return int(port)


def exports(sock: socket.socket) -> list[str]:
    """The directories that a mount daemon exports (EXPORT, as `showmount -e`)."""
    found, data, at = [], call(sock, MOUNT, 3, _MOUNT_EXPORT), 0
    try:
        while _word(data, at):
            path, at = _string(data, at + 4)
            found.append(path)
            while _word(data, at):
                _, at = _string(data, at + 4)
            at += 4
    except struct.error:
        raise RpcError("a list of exports that is cut") from None
    return found


def mount(sock: socket.socket, path: str) -> bytes:
    """Mount an export and take the mount back; gives the root's file handle. Raises RpcError with MOUNT's status."""
    argument = struct.pack(">I", len(path.encode())) + path.encode().ljust(-(-len(path.encode()) // 4) * 4, b"\0")
    data = call(sock, MOUNT, 3, _MOUNT_MNT, argument)
    if len(data) < 4 or (len(data) < 8 and _word(data, 0) == 0):
        raise RpcError("an answer to a mount that is too short")
    if _word(data, 0) != 0:
        raise MountRefusedError(path, _word(data, 0))
    call(sock, MOUNT, 3, _MOUNT_UMNT, argument)
    return data[8 : 8 + _word(data, 4)]


def _record(sock: socket.socket) -> bytes:
    data, last = b"", False
    while not last:
        (head,) = struct.unpack(">I", exactly(sock, 4, RpcError))
        last = bool(head & _LAST_FRAGMENT)
        if len(data) + (head & ~_LAST_FRAGMENT) > _LONGEST_REPLY:
            raise RpcError("a reply that is too long")
        data += exactly(sock, head & ~_LAST_FRAGMENT, RpcError)
    return data


def _word(data: bytes, at: int) -> int:
    return int(struct.unpack_from(">I", data, at)[0])


def _string(data: bytes, at: int) -> tuple[str, int]:
    length = _word(data, at)
    return data[at + 4 : at + 4 + length].decode("utf-8", "replace"), at + 4 + length + (-length % 4)
