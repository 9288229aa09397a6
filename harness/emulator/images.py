# SPDX-License-Identifier: GPL-2.0-or-later
"""What the firmware looks at in the files that it loads: start4.elf, kernels, device trees. No input raises."""

import struct
import zlib

_ELF = b"\x7fELF"
_FDT_MAGIC = 0xD00DFEED
_FDT_BEGIN, _FDT_END_NODE, _FDT_PROP, _FDT_NOP = 1, 2, 3, 4
_CHUNK = 1 << 20
_LARGEST_KERNEL = 512 << 20
_MOST_TOKENS = 4096


def elf_fault(data: bytes) -> str:
    """Why the bootloader cannot start an ELF file, "" when it can: every segment must be there whole."""
    if data[:4] != _ELF or len(data) < 52:
        return "bad magic"
    if data[4] != 1 or data[5] != 1:
        return "not a 32-bit little-endian file"
    offset = struct.unpack_from("<I", data, 28)[0]
    size, count = struct.unpack_from("<HH", data, 42)
    for number in range(count):
        at = offset + number * size
        if at + 32 > len(data):
            return "program header cut short"
        _type, start, _vaddr, _paddr, filesz = struct.unpack_from("<5I", data, at)
        if start + filesz > len(data):
            return "segment cut short"
    return ""


def kernel_kind(data: bytes) -> str:
    """ "gzip", "arm64" (an Image: "ARM\\x64" at 0x38) or "raw", which the firmware starts as it is."""
    if data[:2] == b"\x1f\x8b":
        return "gzip"
    return "arm64" if data[0x38:0x3C] == b"ARM\x64" else "raw"


def gzip_whole(data: bytes) -> bool:
    """Whether a gzip file unpacks to its end, into no more than a board's memory would hold."""
    unpacker = zlib.decompressobj(31)
    total = 0
    try:
        for start in range(0, len(data), _CHUNK):
            piece = data[start : start + _CHUNK]
            while piece and not unpacker.eof:
                total += len(unpacker.decompress(piece, _CHUNK))
                piece = unpacker.unconsumed_tail
                if total > _LARGEST_KERNEL:
                    return False
    except zlib.error:
        return False
    return unpacker.eof


def dtb_compatible(data: bytes) -> tuple[str, ...] | None:  # noqa: PLR0911 - a parser leaves where it stops understanding
    """The `compatible` strings of a device tree's root node; () when it has none; None when it is no device tree."""
    if len(data) < 40:
        return None
    magic, total, structure, strings, _reserve, version, last = struct.unpack_from(">7I", data)
    if magic != _FDT_MAGIC or not 40 <= total <= len(data) or version < 16 or last > 17:
        return None
    at, depth = structure, 0
    for _ in range(_MOST_TOKENS):
        if at + 4 > total:
            return None
        token = struct.unpack_from(">I", data, at)[0]
        at += 4
        if token == _FDT_BEGIN:
            depth += 1
            if depth > 1:
                return ()  # a node's properties come before its children
            end = data.find(b"\0", at, total)
            if end < 0:
                return None
            at = (end + 4) & ~3
        elif token == _FDT_PROP and at + 8 <= total:
            length, name = struct.unpack_from(">II", data, at)
            value = data[at + 8 : at + 8 + length]
            start = strings + name
            if at + 8 + length > total or start >= total:
                return None
            if data[start : start + 11] == b"compatible\0":
                return tuple(text.decode("utf-8", "replace") for text in value.split(b"\0") if text)
            at = (at + 8 + length + 3) & ~3
        elif token == _FDT_END_NODE:
            return ()
        elif token != _FDT_NOP:
            return None
    return None
