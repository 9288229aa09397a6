# SPDX-License-Identifier: GPL-2.0-or-later
"""A netboot server in a few lines, with the faults that real ones have. Reads the board's packets with struct alone."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.emulator.packets import Arp, udp_frame

BOARD_IP = bytes((10, 77, 0, 50))
SERVER_IP = bytes((10, 77, 0, 1))
SERVER_MAC = bytes.fromhex("020000000001")
#: Option 43 as dnsmasq makes it of pxe-service=0,"Raspberry Pi Boot" (Pi 400 capture).
OPTION_43 = bytes.fromhex("0601030a0400505845091400001152617370626572727920506920426f6f74ff")
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6


def options(*pairs: tuple[int, bytes]) -> bytes:
    return b"".join(bytes((code, len(value))) + value for code, value in pairs) + b"\xff"


@dataclass
class Packet:
    """A UDP packet of the board, taken apart."""

    ttl: int
    ident: int
    src: bytes
    dst: bytes
    sport: int
    dport: int
    checksum: int
    payload: bytes

    @property
    def dhcp_kind(self) -> int:
        return dict(self.dhcp_options).get(53, b"\0")[0]

    @property
    def xid(self) -> bytes:
        return self.payload[4:8]

    @property
    def dhcp_options(self) -> list[tuple[int, bytes]]:
        found, at = [], 240
        while at < len(self.payload) and self.payload[at] != 255:
            code, length = self.payload[at], self.payload[at + 1]
            found.append((code, self.payload[at + 2 : at + 2 + length]))
            at += 2 + length
        return found


def udp(frame: bytes) -> Packet | None:
    """What the board sent, None when it is no UDP."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return None
    _vihl, _tos, total, ident, _frag, ttl, _proto, _sum, src, dst = struct.unpack_from(">BBHHHBBH4s4s", frame, 14)
    sport, dport, length, checksum = struct.unpack_from(">HHHH", frame, 34)
    assert total == length + 20
    return Packet(ttl, ident, src, dst, sport, dport, checksum, frame[42 : 34 + length])


@dataclass
class NetServer:
    """DHCP, ARP and TFTP of one host. Every field is a knob; `log` has what was asked, "P", "G" or "N" before it."""

    files: dict[str, bytes] = field(default_factory=dict)
    ip: bytes = SERVER_IP
    mac: bytes = SERVER_MAC
    board_ip: bytes = BOARD_IP
    yiaddr: bytes = BOARD_IP
    siaddr: bytes = SERVER_IP
    offer: tuple[tuple[int, bytes], ...] = ((60, b"PXEClient"), (43, OPTION_43))
    lease: tuple[tuple[int, bytes], ...] = ((1, b"\xff\xff\xff\0"), (3, SERVER_IP))
    offers: bool = True
    acks: bool = True
    naks: int = 0
    delay: float = 0.001
    oack: bool = True
    blksize: int = 65464
    tsize: bool = True
    tftp: bool = True
    not_found: Callable[[str], bytes] = lambda name: f"file /srv/tftp/{name} not found".encode()
    lose: set[tuple[str, int]] = field(default_factory=set)  # (file, block), once each
    repeat: bool = False
    silent_after: dict[str, int] = field(default_factory=dict)  # file: blocks
    hops: int = 0
    log: list[str] = field(default_factory=list)
    requests: list[Packet] = field(default_factory=list)
    discovers: list[Packet] = field(default_factory=list)
    _transfers: dict[int, tuple[str, int, int]] = field(
        default_factory=dict
    )  # client port: file, index in log, blksize
    _last: dict[int, int] = field(default_factory=dict)
    _port: int = 40000

    def __call__(self, _now: float, frame: bytes) -> list[tuple[float, bytes]]:
        if frame[12:14] == b"\x08\x06":
            return [(self.delay, answer) for answer in self._arp(frame)]
        packet = udp(frame)
        if packet is None:
            return []
        if packet.dport == 67:
            payloads = self._dhcp(packet)
            return [(self.delay, self.frame(frame[6:12], packet.src, 67, 68, payload)) for payload in payloads]
        if packet.dst != self.ip or not self.tftp:
            return []
        if packet.dport == 69:
            self._port += 1
            answers = self._rrq(packet)
        else:
            answers = self._go_on(packet)
        return [
            (
                self.delay,
                self.frame(
                    frame[6:12], packet.src, self._port if packet.dport == 69 else packet.dport, packet.sport, p
                ),
            )
            for p in answers
        ]

    def frame(self, mac: bytes, to: bytes, sport: int, dport: int, payload: bytes) -> bytes:
        to = self.board_ip if to == b"\0\0\0\0" else to
        return udp_frame((self.mac, mac), (self.ip, to), (sport, dport), payload, ttl=64, ident=7, checksum=True)

    def _arp(self, frame: bytes) -> list[bytes]:
        (operation,) = struct.unpack_from(">H", frame, 20)
        if operation != 1 or frame[38:42] != self.ip:
            return []
        return [Arp(2, self.mac, self.ip, frame[22:28], frame[28:32]).frame(frame[6:12])]

    def _dhcp(self, packet: Packet) -> list[bytes]:
        if packet.dhcp_kind == DISCOVER:
            self.discovers.append(packet)
            return [self.reply(packet, OFFER, self.offer)] if self.offers else []
        asked = dict(packet.dhcp_options)
        self.requests.append(packet)
        if asked.get(54) != self.ip or not self.acks:
            return []
        if self.naks:
            self.naks -= 1
            return [self.reply(packet, NAK, (), yiaddr=b"\0" * 4)]
        return [self.reply(packet, ACK, ())]

    def reply(
        self, packet: Packet, kind: int, more: tuple[tuple[int, bytes], ...], yiaddr: bytes | None = None
    ) -> bytes:
        head = struct.pack(">BBBB4sHH", 2, 1, 6, self.hops, packet.xid, 0, 0)
        addresses = b"\0" * 4 + (self.yiaddr if yiaddr is None else yiaddr) + self.siaddr + b"\0" * 4
        body = head + addresses + packet.payload[28:44] + b"\0" * 192 + b"\x63\x82\x53\x63"
        lease = self.lease if kind != NAK and self.yiaddr != b"\0" * 4 else ()
        return body + options((53, bytes((kind,))), (54, self.ip), *lease, *more)

    def _rrq(self, packet: Packet) -> list[bytes]:
        words = packet.payload[2:].split(b"\0")
        name, asked = words[0].decode(), dict(zip(words[2::2], words[3::2], strict=False))
        if name not in self.files:
            self.log.append(f"N {name}")
            return [b"\0\x05\0\x01" + self.not_found(name) + b"\0"]
        self.log.append(f"? {name}")
        known = self.oack and bool(asked)
        size = min(int(asked.get(b"blksize", b"512")), self.blksize) if known else 512
        self._transfers[packet.sport] = name, len(self.log) - 1, size
        self._last.pop(packet.sport, None)
        if not known:
            return self._data(packet.sport, 1)
        tsize = b"tsize\0%d\0" % len(self.files[name]) if self.tsize else b""
        return [b"\0\x06" + tsize + (b"blksize\0%d\0" % size if b"blksize" in asked else b"")]

    def _go_on(self, packet: Packet) -> list[bytes]:
        if packet.sport not in self._transfers:
            return []
        name, index, _size = self._transfers[packet.sport]
        opcode, number = struct.unpack_from(">HH", packet.payload)
        if opcode == 5:
            early = packet.payload[2:] == b"\0\0Early terminate\0"
            self.log[index] = f"P {name}" if early else f"E {name}"
            return []
        assert opcode == 4
        # The ACK's number has 16 bits; which block it means follows from the last one sent.
        last = self._last.get(packet.sport, 0)
        return self._data(packet.sport, last - ((last - number) & 0xFFFF) + 1)

    def _data(self, port: int, number: int) -> list[bytes]:
        name, index, size = self._transfers[port]
        self._last[port] = max(number, self._last.get(port, 0))
        start = (number - 1) * size
        if start > len(self.files[name]):
            self.log[index] = f"G {name}"
            return []
        if number > self.silent_after.get(name, 1 << 30):
            return []
        if (name, number) in self.lose:
            self.lose.remove((name, number))
            return []
        block = struct.pack(">HH", 3, number & 0xFFFF) + self.files[name][start : start + size]
        return [block, block] if self.repeat else [block]


def together(
    *wires: Callable[[float, bytes], list[tuple[float, bytes]]],
) -> Callable[[float, bytes], list[tuple[float, bytes]]]:
    """Several hosts on one wire."""
    return lambda now, frame: [answer for wire in wires for answer in wire(now, frame)]
