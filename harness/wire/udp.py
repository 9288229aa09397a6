# SPDX-License-Identifier: GPL-2.0-or-later
"""One UDP datagram within its frame, as the trackers get it."""

from dataclasses import dataclass

from harness.wire.text import ip_text


@dataclass(slots=True)
class Datagram:
    """start: offset of the payload in `data`; size: octets of payload that the UDP header claims. `data` may hold
    fewer: a fragment, or a capture that cut packets.

    addresses: source and destination IP, source and destination port, twelve octets as they stand in the packet.
    """

    number: int
    t: float
    data: bytes
    start: int
    size: int
    addresses: bytes
    src_mac: bytes
    ttl: int
    ip_id: int
    dont_fragment: bool
    checksum: int

    @property
    def payload(self) -> bytes:
        return self.data[self.start : self.start + self.size]

    @property
    def src_ip(self) -> str:
        return ip_text(self.addresses[0:4])

    @property
    def dst_ip(self) -> str:
        return ip_text(self.addresses[4:8])

    @property
    def src_port(self) -> int:
        return int.from_bytes(self.addresses[8:10])

    @property
    def dst_port(self) -> int:
        return int.from_bytes(self.addresses[10:12])

    @property
    def source(self) -> bytes:
        """IP and port of the sender: six octets."""
        return self.addresses[0:4] + self.addresses[8:10]

    @property
    def destination(self) -> bytes:
        return self.addresses[4:8] + self.addresses[10:12]
