# SPDX-License-Identifier: GPL-2.0-or-later
"""tcpdump's output as it comes: a pcap stream in pieces of any length."""

import struct
from collections.abc import Iterator

MAX_PACKET = 16 << 20

_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1),
    b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1000),
}


class PcapStream:
    """link, snaplen: None and 0 until the header has come. Raises ValueError on a stream that is not pcap."""

    def __init__(self) -> None:
        self.link: int | None = None
        self.snaplen = 0
        self._rest = b""
        self._divisor = 1
        self._header = struct.Struct("<IIII")

    def feed(self, piece: bytes) -> Iterator[tuple[int, bytes, int]]:
        """The packets that `piece` completes: (microseconds since the epoch, octets, octets on the wire)."""
        buffer = self._rest + piece if self._rest else piece
        at, end = 0, len(buffer)
        if self.link is None:
            if end < 24:
                self._rest = buffer
                return
            self._begin(buffer)
            at = 24
        unpack, divisor = self._header.unpack_from, self._divisor
        while at + 16 <= end:
            seconds, fraction, size, length = unpack(buffer, at)
            if size > MAX_PACKET:
                raise ValueError(f"a packet of {size} octets")
            if at + 16 + size > end:
                break
            yield seconds * 1_000_000 + fraction // divisor, buffer[at + 16 : at + 16 + size], length
            at += 16 + size
        self._rest = buffer[at:]

    def _begin(self, header: bytes) -> None:
        if header[:4] not in _MAGIC:
            raise ValueError(f"not a pcap stream: it begins with {header[:16].hex()}")
        order, self._divisor = _MAGIC[header[:4]]
        self._header = struct.Struct(order + "IIII")
        self.snaplen, link = struct.unpack_from(order + "II", header, 16)
        self.link = link & 0x0FFFFFFF
