# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading captures: pcap (micro- and nanoseconds) and pcapng, of either byte order, out of a mapped file.

A tail that was cut (a killed writer, a full disk) ends the packets and is told in `truncated`; octets that no writer
writes raise ConfigError with the file and the offset.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from harness.errors import ConfigError
from harness.wire.pcapng import (
    IF_FILTER,
    IF_NAME,
    IF_TSOFFSET,
    IF_TSRESOL,
    ISB_ENDTIME,
    ISB_FILTERACCEPT,
    ISB_IFDROP,
    ISB_IFRECV,
    ISB_OSDROP,
    SHB,
    SHB_USERAPPL,
)
from harness.wire.text import shown

MAX_BLOCK = 64 << 20
"""Octets of one block or packet; longer ones are taken for a lie about a length."""

MAX_INTERFACES = 65536

_REMEDY = "give a capture by tcpdump, dumpcap or Wireshark; `capinfos FILE` says what a file is"
_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9),
    b"\xa1\xb2\x3c\x4d": (">", 10**9),
}
_NOT_OURS = {b"\x1f\x8b": "compressed with gzip", b"\x28\xb5": "compressed with zstd", b"\xfd7": "compressed with xz"}
_SECTION = b"\x0a\x0d\x0d\x0a"

Packet = tuple[int, float, int, bytes]


@dataclass(slots=True)
class Interface:
    """units: time stamp units per second; offset: seconds to add to a stamp; received, dropped, end: from the
    statistics block (packets that passed the filter, packets lost, epoch seconds), None where there is none.
    """

    link: int
    units: int = 10**6
    offset: int = 0
    name: str = ""
    filter: str = ""
    received: int | None = None
    dropped: int | None = None
    end: float | None = None


class CaptureFile:
    """Iterates (number from 1, epoch seconds, link type, octets) over all packets; a context manager.

    interfaces: of all sections, in order, complete after the iteration. truncated: (offset, what is missing), None
    for a whole file. application: who wrote a pcapng file's (last) section. format: "pcap" or "pcapng". Raises
    ConfigError when the file cannot be read.
    """

    format: Literal["pcap", "pcapng"]

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.interfaces: list[Interface] = []
        self.application = ""
        self.truncated: tuple[int, str] | None = None
        try:
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # mmap of nothing
            raise ConfigError("the capture is empty", place=str(self.path), remedy=_REMEDY) from error
        except OSError as error:
            raise ConfigError(f"cannot read the capture: {error.strerror}", place=str(self.path)) from error
        magic = self._map[:4]
        if magic == _SECTION:
            self.format = "pcapng"
        elif magic in _PCAP:
            self.format = "pcap"
        else:
            what = _NOT_OURS.get(magic[:2], "neither pcap nor pcapng")
            self.close()
            raise ConfigError(f"not a capture: {what}", place=str(self.path), remedy=_REMEDY)

    def __enter__(self) -> "CaptureFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._map.close()

    def __iter__(self) -> Iterator[Packet]:
        self.interfaces, self.truncated = [], None
        return self._pcap() if self.format == "pcap" else self._pcapng()

    def _wrong(self, at: int, what: str) -> NoReturn:
        raise ConfigError(
            f"damaged capture: {what} at byte {at}",
            place=str(self.path),
            remedy="capture again, or save what is readable with `editcap` or `tcpdump -r IN -w OUT`",
        )

    def _cut(self, at: int, what: str) -> None:
        self.truncated = (at, what)

    def _pcap(self) -> Iterator[Packet]:
        order, units = _PCAP[self._map[:4]]
        end = len(self._map)
        if end < 24:
            self._cut(0, "file header")
            return
        link = int(struct.unpack_from(order + "I", self._map, 20)[0]) & 0x0FFFFFFF  # above: length of the checksum
        self.interfaces.append(Interface(link, units))
        header = struct.Struct(order + "IIII").unpack_from
        data, at, number = self._map, 24, 0
        while at + 16 <= end:
            seconds, fraction, size, _ = header(data, at)
            if size > MAX_BLOCK:
                self._wrong(at, f"a packet of {size} octets")
            if at + 16 + size > end:
                break
            number += 1
            yield number, (seconds * units + fraction) / units, link, data[at + 16 : at + 16 + size]
            at += 16 + size
        if at < end:
            self._cut(at, f"packet {number + 1}")

    def _pcapng(self) -> Iterator[Packet]:
        data, end = self._map, len(self._map)
        at, number, first, order = 0, 0, 0, "<"
        head, enhanced = struct.Struct("<II").unpack_from, struct.Struct("<IIIII").unpack_from
        while at + 12 <= end:
            if data[at : at + 4] == _SECTION:
                order = self._byte_order(at)
                head, enhanced = struct.Struct(order + "II").unpack_from, struct.Struct(order + "IIIII").unpack_from
                first = len(self.interfaces)
            kind, length = head(data, at)
            if length < 12 or length & 3 or length > MAX_BLOCK or (kind in {2, 6} and length < 32):
                if not any(data[at:end]):
                    break  # zeros: a file system that lost power while the file grew
                self._wrong(at, f"a block of {length} octets")
            if at + length > end:
                break
            if data[at + 4 : at + 8] != data[at + length - 4 : at + length]:
                self._wrong(at, f"a block of {length} octets that ends with another length")
            if kind == 6:
                which, high, low, size, _ = enhanced(data, at + 8)
                if size > length - 32:
                    self._wrong(at, f"a packet of {size} octets in a block of {length}")
                interface = self._interface(at, first, which)
                number += 1
                units = interface.units
                yield (
                    number,
                    (high << 32 | low) / units + interface.offset,
                    interface.link,
                    data[at + 28 : at + 28 + size],
                )
            elif kind in {2, 3}:
                number += 1
                yield self._old_packet(kind, at, length, first, order, number)
            else:
                self._describe(kind, data[at + 8 : at + length - 4], at, first, order)
            at += length
        if at < end:
            self._cut(at, f"block after packet {number}")

    def _byte_order(self, at: int) -> str:
        """struct's sign for the byte order of the section that begins here."""
        order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(self._map[at + 8 : at + 12])
        return order or self._wrong(at, "a section header without byte order")

    def _interface(self, at: int, first: int, which: int) -> Interface:
        if which >= len(self.interfaces) - first:
            self._wrong(at, f"a packet of interface {which}, which is not described,")
        return self.interfaces[first + which]

    def _old_packet(self, kind: int, at: int, length: int, first: int, order: str, number: int) -> Packet:
        """A simple packet block (no time: 0.0) or an obsolete packet block."""
        if kind == 3:
            interface, t, start = self._interface(at, first, 0), 0.0, 12
            size = min(int(struct.unpack_from(order + "I", self._map, at + 8)[0]), length - 16) if length >= 16 else 0
        else:
            which, _, high, low, size = struct.unpack_from(order + "HHIII", self._map, at + 8)
            interface, start = self._interface(at, first, which), 28
            t = (high << 32 | low) / interface.units + interface.offset
            if size > length - 32:
                self._wrong(at, f"a packet of {size} octets in a block of {length}")
        return number, t, interface.link, self._map[at + start : at + start + size]

    def _describe(self, kind: int, body: bytes, at: int, first: int, order: str) -> None:
        """A section's header, an interface description (1) or its statistics (5); other blocks are passed over."""
        if kind == 1:
            if len(body) < 8 or len(self.interfaces) >= MAX_INTERFACES:
                self._wrong(at, "a bad interface description")
            interface = Interface(int(struct.unpack_from(order + "H", body)[0]))
            for code, value in _options(body[8:], order):
                if code == IF_NAME:
                    interface.name = shown(value)
                elif code == IF_FILTER and value[:1] == b"\0":
                    interface.filter = shown(value[1:])
                elif code == IF_TSRESOL and len(value) == 1:
                    interface.units = (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F)
                elif code == IF_TSOFFSET and len(value) == 8:
                    interface.offset = int(struct.unpack(order + "q", value)[0])
            self.interfaces.append(interface)
        elif kind == SHB:
            written_by = [shown(value) for code, value in _options(body[16:], order) if code == SHB_USERAPPL]
            self.application = written_by[0] if written_by else ""
        elif kind == 5 and len(body) >= 12:
            interface = self._interface(at, first, int(struct.unpack_from(order + "I", body)[0]))
            values = {code: value for code, value in _options(body[12:], order) if len(value) == 8}
            counts = {code: int(struct.unpack(order + "Q", value)[0]) for code, value in values.items()}
            interface.received = counts.get(ISB_FILTERACCEPT, counts.get(ISB_IFRECV))
            interface.dropped = counts.get(ISB_OSDROP, counts.get(ISB_IFDROP))
            if ISB_ENDTIME in values:
                high, low = struct.unpack(order + "II", values[ISB_ENDTIME])
                interface.end = (high << 32 | low) / interface.units + interface.offset


def _options(body: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == 0 or at + 4 + length > len(body):
            return
        yield code, body[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)
