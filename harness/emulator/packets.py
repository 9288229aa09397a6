# SPDX-License-Identifier: GPL-2.0-or-later
"""Ethernet, ARP, IPv4 and UDP, built and read with struct alone. Addresses are bytes (6 or 4). No input raises."""

import struct
from dataclasses import dataclass

BROADCAST_MAC = b"\xff" * 6
BROADCAST_IP = b"\xff" * 4
NO_IP = b"\0" * 4
#: A network card pads shorter frames with zeros up to this length (IEEE 802.3: 64 with the check sequence).
MINIMUM_FRAME = 60
ETHERTYPE_IPV4, ETHERTYPE_ARP = 0x0800, 0x0806
_ARP = struct.Struct(">HHBBH6s4s6s4s")
_IP = struct.Struct(">BBHHHBBH4s4s")
_UDP = struct.Struct(">HHHH")


def ones_sum(data: bytes) -> int:
    """One's complement sum of 16-bit words (RFC 1071), 0 for all-zero data, else 1..0xffff.

    Since 2^16 = 1 modulo 0xffff, the sum is the whole number modulo 0xffff: one division in C instead of a loop.
    """
    value = int.from_bytes(data, "big")
    if len(data) & 1:
        value <<= 8
    return value % 0xFFFF or (0xFFFF if value else 0)


def fold(value: int) -> int:
    """A checksum field from a sum of 16-bit words that may have carries."""
    return 0xFFFF - (value % 0xFFFF or (0xFFFF if value else 0))


@dataclass(frozen=True, slots=True)
class Arp:
    """operation: 1 request, 2 reply."""

    operation: int
    sender_mac: bytes
    sender_ip: bytes
    target_mac: bytes
    target_ip: bytes

    def frame(self, to: bytes) -> bytes:
        """The Ethernet frame to that MAC, padded."""
        body = _ARP.pack(
            1, ETHERTYPE_IPV4, 6, 4, self.operation, self.sender_mac, self.sender_ip, self.target_mac, self.target_ip
        )
        return pad(to + self.sender_mac + ETHERTYPE_ARP.to_bytes(2, "big") + body)


@dataclass(frozen=True, slots=True)
class Datagram:
    """A received UDP datagram whose checksums are right."""

    src_mac: bytes
    src: bytes
    dst: bytes
    sport: int
    dport: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Bad:
    """An IPv4 packet that is not a good UDP datagram; what: "", "ip" or "udp" names the wrong checksum."""

    what: str = ""


def pad(frame: bytes) -> bytes:
    return frame if len(frame) >= MINIMUM_FRAME else frame.ljust(MINIMUM_FRAME, b"\0")


def udp_frame(
    macs: tuple[bytes, bytes],
    addresses: tuple[bytes, bytes],
    ports: tuple[int, int],
    payload: bytes,
    *,
    ttl: int,
    ident: int,
    checksum: bool,
) -> bytes:
    """A whole frame. macs, addresses, ports: (from, to); ident: IP identification; checksum: whether UDP carries one."""
    source, target = addresses
    length = 8 + len(payload)
    header = _IP.pack(0x45, 0, 20 + length, ident, 0, ttl, 17, 0, source, target)
    header = _IP.pack(0x45, 0, 20 + length, ident, 0, ttl, 17, fold(ones_sum(header)), source, target)
    udp = _UDP.pack(*ports, length, 0) + payload
    if checksum:
        # RFC 768: a checksum that computes to zero is sent as all ones.
        value = fold(ones_sum(source + target) + 17 + length + ones_sum(udp)) or 0xFFFF
        udp = udp[:6] + value.to_bytes(2, "big") + udp[8:]
    return pad(macs[1] + macs[0] + b"\x08\x00" + header + udp)


def read_arp(frame: bytes) -> Arp | None:
    """The ARP message (Ethernet, IPv4) in a frame, else None."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x06":
        return None
    hardware, protocol, hlen, plen, operation, smac, sip, tmac, tip = _ARP.unpack_from(frame, 14)
    if (hardware, protocol, hlen, plen) != (1, ETHERTYPE_IPV4, 6, 4):
        return None
    return Arp(operation, smac, sip, tmac, tip)


def read_udp(frame: bytes, *, verify: bool = True) -> Datagram | Bad | None:  # noqa: PLR0911 - one exit per kind of malformed packet
    """The UDP datagram in a frame; None when it is not IPv4 at all; Bad when IPv4 but not a whole, right datagram.

    verify: look at the UDP checksum, if there is one.
    """
    if len(frame) < 14 or frame[12:14] != b"\x08\x00":
        return None
    if len(frame) < 34:
        return Bad()
    first, _tos, total, _ident, fragment, _ttl, protocol, _sum, src, dst = _IP.unpack_from(frame, 14)
    header = (first & 0x0F) * 4
    if first >> 4 != 4 or header < 20 or total < header + 8 or len(frame) < 14 + total:
        return Bad()
    if ones_sum(frame[14 : 14 + header]) != 0xFFFF:
        return Bad("ip")
    if protocol != 17 or fragment & 0x3FFF:
        return Bad()
    start = 14 + header
    sport, dport, length, value = _UDP.unpack_from(frame, start)
    if length < 8 or start + length > 14 + total:
        return Bad()
    if verify and value and not udp_sum_right(src + dst, frame[start : start + length]):
        return Bad("udp")
    return Datagram(frame[6:12], src, dst, sport, dport, frame[start + 8 : start + length])


def udp_sum_right(addresses: bytes, udp: bytes) -> bool:
    """Whether a UDP header and body carry a right checksum; addresses: source and destination, eight bytes.

    Right is also one that a sending network card was to complete and that a virtual wire carried as it was: such a
    field holds the sum over the pseudo header alone. On a real wire it cannot be seen.
    """
    pseudo = ones_sum(addresses) + 17 + len(udp)
    if (pseudo + ones_sum(udp)) % 0xFFFF == 0:
        return True
    return int.from_bytes(udp[6:8], "big") % 0xFFFF == pseudo % 0xFFFF
