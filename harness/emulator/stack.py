# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's small IP stack: its addresses, ARP, IPv4 and UDP in the style of the stage that is running."""

from dataclasses import dataclass, field

from harness.emulator.effects import Recv, Send, Steps
from harness.emulator.packets import (
    BROADCAST_IP,
    BROADCAST_MAC,
    NO_IP,
    Arp,
    Bad,
    Datagram,
    read_arp,
    read_udp,
    udp_frame,
)


@dataclass(frozen=True, slots=True)
class Transport:
    """How a stage fills in IP and UDP headers, and what it checks.

    ident: first IP identification; step: how far it rises per packet; verifies: a wrong UDP checksum is noticed.
    """

    ttl: int
    ident: int
    step: int
    udp_checksum: bool
    answers_arp: bool = True
    verifies: bool = True


#: EEPROM bootloader (Pi 400 capture, EE#58 capture): the first packet after reset has id 0x506a, each further one +2.
EEPROM = Transport(ttl=64, ident=0x506A, step=2, udp_checksum=True)
#: start4.elf. TTL and id are certain; that it leaves the UDP checksum out, as bootcode.bin and start.elf do, and so does
#: not look at it either, is inferred.
START4 = Transport(ttl=128, ident=0, step=0, udp_checksum=False, verifies=False)


@dataclass(slots=True)
class Counters:
    """What the bootloader prints as `RX: ...`."""

    rx: int = 0
    ipv4: int = 0
    mac: int = 0
    udp: int = 0
    received: int = 0
    ip_errors: int = 0
    udp_errors: int = 0

    def text(self) -> str:
        return (
            f"RX: {self.rx} IP: 0 IPV4: {self.ipv4} MAC: {self.mac} UDP: {self.udp} UDP RECV: {self.received} "
            f"IP_CSUM_ERR: {self.ip_errors} UDP_CSUM_ERR: {self.udp_errors}"
        )


@dataclass(slots=True)
class Stack:
    """mac: six bytes; ip, mask, gateway: four bytes each, zeros while unknown."""

    mac: bytes
    transport: Transport = EEPROM
    ip: bytes = NO_IP
    mask: bytes = NO_IP
    gateway: bytes = NO_IP
    ident: int = EEPROM.ident
    counters: Counters = field(default_factory=Counters)

    def use(self, transport: Transport) -> None:
        """Another stage takes over; the addresses stay."""
        self.transport = transport
        self.ident = transport.ident

    def next_ident(self) -> int:
        """The IP identification for the packet that is about to be sent."""
        ident = self.ident
        self.ident = (ident + self.transport.step) & 0xFFFF
        return ident

    def udp(self, to_mac: bytes, to_ip: bytes, ports: tuple[int, int], payload: bytes) -> bytes:
        """A frame with that payload; ports: (from, to)."""
        return udp_frame(
            (self.mac, to_mac),
            (self.ip, to_ip),
            ports,
            payload,
            ttl=self.transport.ttl,
            ident=self.next_ident(),
            checksum=self.transport.udp_checksum,
        )

    def digest(self, frame: bytes) -> tuple[Datagram | None, bytes | None]:
        """What a received frame means to the board: a datagram for it, and a frame to answer with at once (ARP)."""
        counters = self.counters
        counters.rx += 1
        to = frame[:6]
        if to not in (self.mac, BROADCAST_MAC):
            return None, None
        arp = read_arp(frame)
        if arp is not None:
            return None, self._arp_answer(arp)
        datagram = read_udp(frame, verify=self.transport.verifies)
        if datagram is None:
            return None, None
        counters.ipv4 += 1
        counters.mac += 1
        if isinstance(datagram, Bad):
            counters.ip_errors += datagram.what == "ip"
            counters.udp_errors += datagram.what == "udp"
            return None, None
        counters.udp += 1
        # Without an address yet, an OFFER may come to the address that it offers.
        if self.ip not in (NO_IP, datagram.dst) and datagram.dst not in (BROADCAST_IP, self._subnet_broadcast()):
            return None, None
        counters.received += 1
        return datagram, None

    def receive(self, deadline: float) -> Steps[Datagram | None]:
        """The next datagram for the board, None at the deadline; ARP requests are answered on the way."""
        while (frame := (yield Recv(deadline))) is not None:
            datagram, answer = self.digest(frame)
            if answer is not None:
                yield Send(answer)
            if datagram is not None:
                return datagram
        return None

    def on_link(self, ip: bytes) -> bool:
        return all((a ^ b) & m == 0 for a, b, m in zip(self.ip, ip, self.mask, strict=True))

    def next_hop(self, ip: bytes) -> bytes:
        """Whom to ask by ARP: the host itself, or the gateway when it is elsewhere and there is one."""
        return ip if self.on_link(ip) or self.gateway == NO_IP else self.gateway

    def resolve(self, ip: bytes, deadline: float, request_until: float) -> Steps[bytes | None]:
        """Ask once for a MAC and wait for the answer until `request_until` (at most `deadline`)."""
        yield Send(Arp(1, self.mac, self.ip, b"\0" * 6, ip).frame(BROADCAST_MAC))
        until = min(deadline, request_until)
        while (frame := (yield Recv(until))) is not None:
            arp = read_arp(frame)
            if arp and arp.operation == 2 and arp.sender_ip == ip and frame[:6] in (self.mac, BROADCAST_MAC):
                self.counters.rx += 1
                return arp.sender_mac
            _datagram, answer = self.digest(frame)
            if answer is not None:
                yield Send(answer)
        return None

    def _arp_answer(self, arp: Arp) -> bytes | None:
        wanted = arp.operation == 1 and arp.target_ip == self.ip != NO_IP
        if not wanted or not self.transport.answers_arp:
            return None
        return Arp(2, self.mac, self.ip, arp.sender_mac, arp.sender_ip).frame(arp.sender_mac)

    def _subnet_broadcast(self) -> bytes:
        return bytes(a | (~m & 0xFF) for a, m in zip(self.ip, self.mask, strict=True))
