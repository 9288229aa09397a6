# SPDX-License-Identifier: GPL-2.0-or-later
"""A network card for tests: opens a board's tap, asks for a lease as a Pi does, and speaks a little NFS."""

import fcntl
import os
import select
import socket
import struct
import time

from harness.servers import Rig
from harness.servers.services import rpc
from harness.servers.services.nfs import connect

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
BROADCAST = b"\xff" * 6


class Card:
    """Holds a board's tap open, as the board does while its link is up."""

    def __init__(self, rig: Rig, board: str) -> None:
        port = rig.board(board)
        self.mac = bytes.fromhex(rig.boards[board].mac.replace(":", ""))
        # The descriptor belongs to the host in which it was opened, so its tap is found although we are elsewhere.
        self.fd = rig.keeper.open(port.host, "/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", port.tap.encode(), IFF_TAP | IFF_NO_PI))
        rig.keeper.wait_up(port.host, [port.tap])

    def __enter__(self) -> "Card":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def offers(self, seconds: float, *, wanted: int = 1) -> list[dict[int, list[bytes]]]:
        """The options of the OFFERs to a DISCOVER, each a list, since it may come twice; -1 is the field siaddr."""
        os.write(self.fd, self._discover())
        found: list[dict[int, list[bytes]]] = []
        deadline = time.monotonic() + seconds
        while len(found) < wanted and select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            frame = os.read(self.fd, 2048)
            # UDP from port 67 to 68, magic cookie, DHCPOFFER
            if frame[12:14] == b"\x08\0" and frame[23] == 17 and frame[34:38] == b"\0\x43\0\x44":
                options = parse_options(frame[14 + 20 + 8 + 240 :])
                if options.get(53) == [b"\x02"]:
                    found.append(options | {-1: [frame[14 + 20 + 8 + 20 :][:4]]})
        return found

    def _discover(self) -> bytes:
        vendor = b"PXEClient:Arch:00000:UNDI:002001"
        options = b"\x35\x01\x01" + b"\x37\x05\x01\x03\x2b\x3c\x42" + bytes([60, len(vendor)]) + vendor
        options += b"\x5d\x02\0\0" + b"\x5e\x03\x01\x02\x01" + b"\x61\x11\0RPi4" + b"\0" * 12 + b"\xff"
        bootp = (
            struct.pack(">BBBBIHH16x6s10x192x4s", 1, 1, 6, 0, 0x12345678, 0, 0x8000, self.mac, b"\x63\x82\x53\x63")
            + options
        )
        udp = struct.pack(">HHHH", 68, 67, 8 + len(bootp), 0) + bootp
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, b"\0" * 4, b"\xff" * 4)
        total = sum(struct.unpack(">10H", head))
        total = (total & 0xFFFF) + (total >> 16)
        head = head[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
        return BROADCAST + self.mac + b"\x08\0" + head + udp


def parse_options(data: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(data) and data[at] != 255:
        if data[at]:
            found.setdefault(data[at], []).append(data[at + 2 : at + 2 + data[at + 1]])
            at += 1 + data[at + 1]
        at += 1
    return found


def mounted(rig: Rig, board: str) -> bytes:
    """The file handle of a board's root, by MOUNT v3 from the switch's host."""
    give_client_address(rig)
    with connect(rig.keeper, "client", rig.server_address, rpc.PORTMAP_PORT) as sock:
        port = rpc.port_of(sock, rpc.MOUNT, 3)
    with connect(rig.keeper, "client", rig.server_address, port) as sock:
        return rpc.mount(sock, rig.facts(board).root_source.partition(":")[2])


def give_client_address(rig: Rig) -> None:
    if "10.77.0.50" not in rig.keeper.read("client", "/proc/self/net/fib_trie"):
        rig.keeper.wait_up("client", ["br0"])
        rig.keeper.add_address("client", "br0", "10.77.0.50/24")


class NfsClient:
    """NFS v3 (RFC 1813) procedures on the files of one root."""

    def __init__(self, rig: Rig, root: bytes) -> None:
        give_client_address(rig)
        self.sock: socket.socket = connect(rig.keeper, "client", rig.server_address, 2049)
        self.root = root

    def __enter__(self) -> "NfsClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def lookup(self, name: str) -> int:
        """The nfsstat3: 0 there, 2 not there, 70 the root's handle is stale."""
        return self._status(3, opaque(self.root) + opaque(name.encode()))

    def create(self, name: str) -> int:
        # UNCHECKED, mode 0644, nothing else set
        attributes = struct.pack(">3I5I", 0, 1, 0o644, 0, 0, 0, 0, 0)
        return self._status(8, opaque(self.root) + opaque(name.encode()) + attributes)

    def _status(self, procedure: int, arguments: bytes) -> int:
        return int(struct.unpack_from(">I", rpc.call(self.sock, rpc.NFS, 3, procedure, arguments))[0])


def opaque(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data + b"\0" * (-len(data) % 4)
