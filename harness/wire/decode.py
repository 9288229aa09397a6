# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames in, events out. No frame, however wrong, raises: what cannot be read is counted and named in `malformed`.

Nearly all frames of a boot are DATA and ACK of a known transfer: one look-up and one struct walk takes those. The
rest goes the long way: VLAN tags, IP options, fragments, and scapy for what needs decoding.
"""

import struct
from collections.abc import Callable, Iterable

from harness.boot.events import ArpMessage, Event, FirstFrame
from harness.boot.identity import sender
from harness.wire import dhcp, scapy_read
from harness.wire.http import HttpTracker
from harness.wire.roots import ISCSI, SERVICES, RootTracker
from harness.wire.scapy_read import Malformed
from harness.wire.text import ip_text, mac_octets, mac_text
from harness.wire.tftp import TftpTracker
from harness.wire.udp import Datagram

MAX_MALFORMED = 1000
"""Malformed packets that are named; all are counted."""

_MAX_MACS = 4096
_IPV4, _ARP = 0x0800, 0x0806
_VLAN = frozenset({0x8100, 0x88A8, 0x9100})

# From the Ethernet type on: type, version and header length, total length, fragment, protocol; UDP length, two words.
_SHORT_WAY = struct.Struct("!HBxHxxHxBxx12xHxxHH")
_IP = struct.Struct("!BxHHHBBxx")
_MORE_FRAGMENTS, _DONT_FRAGMENT, _FRAGMENT_OFFSET = 0x2000, 0x4000, 0x1FFF


class FrameDecoder:
    """Decodes the frames of one capture, in their order.

    macs: the boards that are watched, as text; None watches every client. emit: takes the events, in the frames'
    order. malformed: (packet, reason) of what made no sense, at most MAX_MALFORMED; malformed_count: how many.
    """

    def __init__(self, macs: Iterable[str] | None, emit: Callable[[Event], None]) -> None:
        self._macs = None if macs is None else frozenset(mac_octets(mac) for mac in macs)
        self._emit = emit
        self._seen: set[bytes] = set()
        self._tftp = TftpTracker(emit, self._wrong)
        self._http = HttpTracker(emit, self._wrong)
        self._root = RootTracker(emit)
        self._flows = self._tftp.flows
        self.malformed: list[tuple[int, str]] = []
        self.malformed_count = 0
        self.fragments = 0

    def frame(self, number: int, t: float, data: bytes) -> None:
        """Take an Ethernet frame without its checksum; number: from 1, t: epoch seconds."""
        try:
            handler = self._flows.get(data[26:38])
            if handler is not None and len(data) >= 46:
                kind, version, total, fragment, protocol, length, op, word = _SHORT_WAY.unpack_from(data, 12)
                if (
                    kind == _IPV4
                    and version == 0x45
                    and protocol == 17
                    and length == total - 20
                    and length >= 12
                    and not fragment & (_MORE_FRAGMENTS | _FRAGMENT_OFFSET)
                ):
                    handler(number, t, op, word, data, 42, length - 8)
                    return
            self._long_way(number, t, data)
        except Malformed as malformed:
            self._wrong(number, str(malformed))
        except Exception as error:  # the last net: a frame must never end a boot's watch
            self._wrong(number, f"not decoded: {type(error).__name__}: {error}")

    def finish(self, t: float) -> None:
        """The capture ended at `t`: what is still open gets its end."""
        self._tftp.finish(t)
        self._http.finish(t)

    def note(self, number: int, reason: str) -> None:
        """Count a packet that was not even a frame."""
        self._wrong(number, reason)

    def _wrong(self, number: int, reason: str) -> None:
        self.malformed_count += 1
        if len(self.malformed) < MAX_MALFORMED:
            self.malformed.append((number, reason))

    def _watched(self, mac: bytes) -> bool:
        return self._macs is None or mac in self._macs

    def _long_way(self, number: int, t: float, data: bytes) -> None:
        if len(data) < 14:
            raise Malformed(f"frame of {len(data)} octets")
        kind, at = int.from_bytes(data[12:14]), 14
        while kind in _VLAN and len(data) >= at + 4:
            kind, at = int.from_bytes(data[at + 2 : at + 4]), at + 4
        source = data[6:12]
        if source not in self._seen and self._watched(source) and len(self._seen) < _MAX_MACS:
            self._seen.add(source)
            if not source[0] & 1 and any(source):
                self._emit(FirstFrame(t, number, mac_text(source), kind))
        if kind == _IPV4:
            self._ipv4(number, t, data, at)
        elif kind == _ARP:
            self._arp(number, t, data, at)

    def _arp(self, number: int, t: float, data: bytes, at: int) -> None:
        message = scapy_read.arp(data[at:])
        if message is None:
            return
        if self._macs is not None and self._macs.isdisjoint(
            (data[0:6], data[6:12], mac_octets(message.sender_mac), mac_octets(message.target_mac))
        ):
            return
        if message.op not in {1, 2}:
            raise Malformed(f"ARP operation {message.op}")
        self._emit(
            ArpMessage(
                t,
                number,
                "request" if message.op == 1 else "reply",
                message.sender_mac,
                message.sender_ip,
                message.target_mac,
                message.target_ip,
            )
        )

    def _ipv4(self, number: int, t: float, data: bytes, at: int) -> None:
        if len(data) < at + 20:
            raise Malformed(f"IP header of {len(data) - at} octets")
        version, total, ip_id, fragment, ttl, protocol = _IP.unpack_from(data, at)
        header = (version & 15) * 4
        if version >> 4 != 4 or header < 20:
            raise Malformed(f"IP version {version >> 4} with a header of {header} octets")
        total = total or len(data) - at  # 0: a super-frame that the network card was to cut
        if total < header:
            raise Malformed(f"IP packet of {total} octets with a header of {header}")
        if fragment & _FRAGMENT_OFFSET:
            self.fragments += 1
            return
        if fragment & _MORE_FRAGMENTS:
            self._wrong(number, "first fragment of an IP packet: the others are not put together")
        body = at + header
        addresses = data[at + 12 : at + 20] + data[body : body + 4]
        if protocol == 17:
            self._udp(number, t, data, (body, at + total), ip=(addresses, ttl, ip_id, fragment))
        elif protocol == 6:
            self._tcp(number, t, data, (body, at + total), addresses=addresses)
        elif protocol == 1:
            self._icmp(data, body)

    def _udp(
        self, number: int, t: float, data: bytes, span: tuple[int, int], *, ip: tuple[bytes, int, int, int]
    ) -> None:
        (at, end), (addresses, ttl, ip_id, fragment) = span, ip
        if len(data) < at + 8:
            raise Malformed("UDP header cut")
        length = int.from_bytes(data[at + 4 : at + 6])
        if length < 8 or (at + length > end and not fragment & _MORE_FRAGMENTS):
            raise Malformed(f"UDP of {length} octets in an IP packet with room for {end - at}")
        packet = Datagram(
            number=number,
            t=t,
            data=data,
            start=at + 8,
            size=length - 8,
            addresses=addresses,
            src_mac=data[6:12],
            ttl=ttl,
            ip_id=ip_id,
            dont_fragment=bool(fragment & _DONT_FRAGMENT),
            checksum=int.from_bytes(data[at + 6 : at + 8]),
        )
        ours = self._watched(packet.src_mac)
        if self._tftp.datagram(packet, ours=ours):
            return
        if packet.dst_port in dhcp.PORTS:
            self._dhcp(packet, ours)
        else:
            self._root.rpc(number, t, addresses, packet.payload, 0, ours=ours)
            if ours and packet.dst_port == 2049:
                self._root.connect(number, t, addresses, b"udp")

    def _dhcp(self, packet: Datagram, ours: bool) -> None:
        message = dhcp.message(packet, packet.payload, lambda reason: self._wrong(packet.number, reason))
        if ours or self._watched(mac_octets(message.chaddr)):
            if message.from_client:
                self._tftp.named(mac_octets(message.chaddr), sender(message).kind)
            if message.type == "DISCOVER":
                self._tftp.restarted(mac_octets(message.chaddr), packet.t)
                self._http.restarted(mac_octets(message.chaddr), packet.t)
            self._emit(message)

    def _tcp(self, number: int, t: float, data: bytes, span: tuple[int, int], *, addresses: bytes) -> None:
        at, end = span
        if len(data) < at + 20:
            raise Malformed("TCP header cut")
        ours = self._watched(data[6:12])
        flags = data[at + 13]
        if ours and flags & 0x12 == 0x02 and int.from_bytes(addresses[10:12]) in SERVICES:  # SYN without ACK
            self._root.connect(number, t, addresses, data[at + 4 : at + 8])
            return
        if self._http.segment(number, t, addresses, data, span, data[6:12], ours=ours):
            return
        payload = at + (data[at + 12] >> 4) * 4
        if ISCSI in (int.from_bytes(addresses[8:10]), int.from_bytes(addresses[10:12])):
            self._root.iscsi(number, t, addresses, data[:end], payload, ours=ours)
            return
        if payload + 4 + 12 < min(end, len(data)):  # a record mark, and an RPC message behind it
            self._root.rpc(number, t, addresses, data, payload + 4, ours=ours)

    def _icmp(self, data: bytes, at: int) -> None:
        """Port unreachable (type 3, code 3): the packet that it quotes says which transfer lost its server."""
        quoted = at + 8
        if data[at : at + 2] != b"\x03\x03" or len(data) < quoted + 20:
            return
        udp = quoted + (data[quoted] & 15) * 4
        if data[quoted + 9] == 17 and len(data) >= udp + 4:
            client = data[quoted + 12 : quoted + 16] + data[udp : udp + 2]
            self._tftp.unreachable(client, ip_text(data[quoted + 16 : quoted + 20]))
