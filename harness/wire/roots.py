# SPDX-License-Identifier: GPL-2.0-or-later
"""The root file system on the wire: connections to storage services, and NFS mounts (MOUNT protocol, RFC 1813
appendix I, over ONC RPC, RFC 5531), recognised by their own octets: mountd may listen on any port; logins to iSCSI targets
(RFC 7143).
"""

import struct
from collections.abc import Callable

from harness.boot.events import Event, IscsiLogin, NfsMount, RootConnect
from harness.wire.text import ip_text, shown

SERVICES = {2049: "nfs", 3260: "iscsi", 3300: "ceph", 6789: "ceph", 10809: "nbd"}

_MOUNT = 100005
_CALL = struct.Struct("!IIIIII")  # xid, 0 (call), RPC version 2, program, version, procedure
_REPLY = struct.Struct("!III")  # xid, 1 (reply), 0 (accepted) or 1 (denied)
_PROGRAM = _MOUNT.to_bytes(4)
_IS_REPLY = (1).to_bytes(4)
_MAX_REMEMBERED = 256
_MAX_PATH = 1024  # MNTPATHLEN

ISCSI = 3260
#: Ports of Ceph's OSDs (ms_bind_port_min, ms_bind_port_max): what a volume's data travels to.
OSD_PORTS = (6800, 7568)
_LOGIN_REQUEST, _LOGIN_RESPONSE = 0x03, 0x23
_BHS = 48  # basic header segment
_TRANSIT_TO_FULL_FEATURES = 0x83  # T, and NSG 3
_MAX_TEXT = 8192  # of a login request: the default MaxRecvDataSegmentLength (RFC 7143, 13.12)
_MAX_NAME = 223  # RFC 7143, 4.2.7.1

DENIED = -1
"""Status of a mount that RPC itself refused (authentication, no such program): no mount status exists then."""


class RootTracker:
    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._connections: dict[bytes, None] = {}
        self._mounts: dict[tuple[bytes, int], str] = {}  # (server's IP, xid) -> path
        self._logins: dict[bytes, str] = {}  # addresses of a connection -> its target
        self._asked: dict[bytes, bytes] = {}  # addresses -> a login request that has not come whole

    def connect(self, number: int, t: float, addresses: bytes, sequence: bytes) -> None:
        """A first packet (TCP SYN) to a storage port; addresses: IPs and ports as in the packet, 12 octets; sequence:
        what tells a repeated SYN (the same) from a new connection.
        """
        if self._new(addresses + sequence):
            port = int.from_bytes(addresses[10:12])
            server, client = ip_text(addresses[4:8]), ip_text(addresses[0:4])
            self._emit(RootConnect(t, number, SERVICES[port], server, port, client))

    def _new(self, key: bytes) -> bool:
        if key in self._connections:
            return False
        if len(self._connections) >= _MAX_REMEMBERED:
            del self._connections[next(iter(self._connections))]
        self._connections[key] = None
        return True

    def iscsi(self, number: int, t: float, addresses: bytes, data: bytes, at: int, *, ours: bool) -> None:
        """A TCP segment of an iSCSI connection whose payload begins at `data[at:]`; ours: sent by a board that is watched.

        A login begins a connection. Linux sends the header of a PDU and its text in segments of their own.
        """
        opcode = data[at] & 0x3F if len(data) >= at + _BHS else None
        if ours and addresses not in self._logins and (opcode == _LOGIN_REQUEST or addresses in self._asked):
            self._ask(addresses, self._asked.pop(addresses, b"") + data[at:])
        elif opcode == _LOGIN_RESPONSE:
            connection = addresses[4:8] + addresses[0:4] + addresses[10:12] + addresses[8:10]
            status = int.from_bytes(data[at + 36 : at + 38])
            done = status != 0 or data[at + 1] & _TRANSIT_TO_FULL_FEATURES == _TRANSIT_TO_FULL_FEATURES
            target_name = self._logins.pop(connection, None) if done else None
            if target_name is not None:
                server, client = ip_text(addresses[0:4]), ip_text(addresses[4:8])
                self._emit(IscsiLogin(t, number, server, target_name, status, client))

    def _ask(self, addresses: bytes, pdu: bytes) -> None:
        """A Login Request as far as it has come: which target is asked for."""
        end = _BHS + min(int.from_bytes(pdu[5:8]), _MAX_TEXT)
        known = self._logins if len(pdu) >= end else self._asked
        if len(known) >= _MAX_REMEMBERED:
            del known[next(iter(known))]
        if len(pdu) < end:
            self._asked[addresses] = pdu
            return
        words = pdu[_BHS:end].split(b"\0")
        target = next((word[11:] for word in words if word.startswith(b"TargetName=")), b"")
        self._logins[addresses] = shown(target[:_MAX_NAME])

    def rpc(self, number: int, t: float, addresses: bytes, data: bytes, at: int, *, ours: bool) -> None:
        """RPC message at `data[at:]`; ours: sent by a board that is watched."""
        if ours and data[at + 12 : at + 16] == _PROGRAM:
            self._call(number, t, addresses, data, at)
        elif self._mounts and data[at + 4 : at + 8] == _IS_REPLY:
            self._reply(number, t, addresses, data, at)

    def _call(self, number: int, t: float, addresses: bytes, data: bytes, at: int) -> None:
        if len(data) < at + _CALL.size:
            return
        xid, kind, rpc, program, version, procedure = _CALL.unpack_from(data, at)
        if (kind, rpc, program, procedure) != (0, 2, _MOUNT, 1) or not 1 <= version <= 3:
            return
        at = _skip_auth(data, _skip_auth(data, at + _CALL.size))
        if len(data) < at + 4:
            return
        length = min(int.from_bytes(data[at : at + 4]), _MAX_PATH)
        path = shown(data[at + 4 : at + 4 + length])
        server = addresses[4:8]
        key = (server, xid)
        if key in self._mounts:
            return  # repeated
        if len(self._mounts) >= _MAX_REMEMBERED:
            del self._mounts[next(iter(self._mounts))]
        self._mounts[key] = path
        self._emit(NfsMount(t, number, ip_text(server), path, None, ip_text(addresses[0:4])))

    def _reply(self, number: int, t: float, addresses: bytes, data: bytes, at: int) -> None:
        if len(data) < at + _REPLY.size:
            return
        xid, _, denied = _REPLY.unpack_from(data, at)
        server = addresses[0:4]
        path = self._mounts.get((server, xid))
        if path is None:
            return
        status: int | None = DENIED
        if denied == 0:
            at = _skip_auth(data, at + _REPLY.size)
            if len(data) < at + 4:
                return
            if data[at : at + 4] == bytes(4):  # accepted and executed
                if len(data) < at + 8:
                    return
                status = int.from_bytes(data[at + 4 : at + 8])
        del self._mounts[server, xid]
        self._emit(NfsMount(t, number, ip_text(server), path, status, ip_text(addresses[4:8])))


def _skip_auth(data: bytes, at: int) -> int:
    """Offset behind an opaque_auth (flavour, length, up to 400 octets padded to four); past the end when it lies."""
    length = int.from_bytes(data[at + 4 : at + 8])
    return at + 8 + (length + 3 & ~3) if length <= 400 and len(data) >= at + 8 else len(data) + 1
