# SPDX-License-Identifier: GPL-2.0-or-later
"""Writing pcapng (draft-ietf-opsawg-pcapng): one section, one interface, microseconds.

Pure functions of octets: who writes them to a file decides when. Every block is whole in itself, so a file whose
writer was killed is readable up to its last block.
"""

import struct
from collections.abc import Iterable

SHB, IDB, ISB, EPB = 0x0A0D0D0A, 1, 5, 6

# Option codes.
OPT_COMMENT, OPT_END = 1, 0
SHB_USERAPPL = 4
IF_NAME, IF_TSRESOL, IF_FILTER, IF_TSOFFSET = 2, 9, 11, 14
ISB_STARTTIME, ISB_ENDTIME, ISB_IFRECV, ISB_IFDROP, ISB_FILTERACCEPT, ISB_OSDROP = 2, 3, 4, 5, 6, 7

_EPB = struct.Struct("<IIIIIII")
_U32 = struct.Struct("<I")
_PAD = (b"", b"\0\0\0", b"\0\0", b"\0")


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + _PAD[len(value) & 3]


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    tail = b"".join(_option(code, value[:0xFFFF]) for code, value in options) + _option(OPT_END, b"")
    length = 12 + len(body) + len(tail)
    return struct.pack("<II", kind, length) + body + tail + _U32.pack(length)


def section(application: str) -> bytes:
    """Section header block."""
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    return _block(SHB, body, [(SHB_USERAPPL, application.encode())])


def interface(name: str, link: int, snaplen: int, filter_text: str) -> bytes:
    """Interface description block."""
    options = [(IF_NAME, name.encode()), (IF_TSRESOL, b"\x06")]
    if filter_text:
        options.append((IF_FILTER, b"\0" + filter_text.encode()))  # 0: it is pcap-filter(7) text
    return _block(IDB, struct.pack("<HHI", link, 0, snaplen), options)


def packet(microseconds: int, data: bytes, length: int) -> bytes:
    """Enhanced packet block; microseconds: since the epoch; length: on the wire, `data` may hold less."""
    size = len(data)
    pad = _PAD[size & 3]
    total = 32 + size + len(pad)
    high, low = microseconds >> 32 & 0xFFFFFFFF, microseconds & 0xFFFFFFFF
    return b"".join((_EPB.pack(EPB, total, 0, high, low, size, length), data, pad, _U32.pack(total)))


def statistics(start: int, end: int, received: int | None, dropped: int | None) -> bytes:
    """Interface statistics block: times in microseconds; received, dropped: the kernel's counters, None when unknown."""
    options = [(ISB_STARTTIME, _time(start)), (ISB_ENDTIME, _time(end))]
    if received is not None:
        options.append((ISB_FILTERACCEPT, struct.pack("<Q", received)))
    if dropped is not None:
        options.append((ISB_OSDROP, struct.pack("<Q", dropped)))
    return _block(ISB, struct.pack("<I", 0) + _time(end), options)


def _time(microseconds: int) -> bytes:
    return struct.pack("<II", microseconds >> 32 & 0xFFFFFFFF, microseconds & 0xFFFFFFFF)
