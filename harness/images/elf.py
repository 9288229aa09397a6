# SPDX-License-Identifier: GPL-2.0-or-later
"""Which shared libraries an arm64 program needs: the DT_NEEDED entries of its dynamic section (System V ABI, chapter 5).

`ldd` would have to run the program's own loader.
"""

import struct
from collections.abc import Iterable
from pathlib import Path

from harness.errors import InfraError

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5


def needed(data: bytes) -> list[str]:
    """Names of the libraries, the loader among them if it is linked; empty for what is no dynamic 64-bit ELF file."""
    if data[:6] != b"\x7fELF\x02\x01":
        return []
    try:
        return _needed(data)
    except (struct.error, ValueError, OverflowError):
        return []


def _needed(data: bytes) -> list[str]:
    (table,) = struct.unpack_from("<Q", data, 0x20)
    size, count = struct.unpack_from("<HH", data, 0x36)
    loads, dynamic = [], None
    for i in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, table + i * size)
        if kind == _PT_LOAD:
            loads.append((address, offset, length))
        elif kind == _PT_DYNAMIC:
            dynamic = (offset, length)
    if dynamic is None:
        return []
    entries = list(struct.iter_unpack("<QQ", data[dynamic[0] : dynamic[0] + dynamic[1] // 16 * 16]))
    entries = entries[: next((i for i, (tag, _) in enumerate(entries) if tag == _DT_NULL), len(entries))]
    strings = next((value for tag, value in entries if tag == _DT_STRTAB), 0)
    start = next(
        strings - address + offset for address, offset, length in loads if address <= strings < address + length
    )

    def text(at: int) -> str:
        return data[start + at : data.index(b"\0", start + at)].decode("ascii", "replace")

    return [text(value) for tag, value in entries if tag == _DT_NEEDED]


def closure(programs: Iterable[Path], tree: Path) -> dict[str, Path]:
    """Library name -> file, of all that `programs` need directly or not, looked for in an unpacked Debian tree.

    Raises InfraError that names a library which is not there: its package is missing in the list of packages.
    """
    places = [tree / "lib", tree / "lib/aarch64-linux-gnu", tree / "usr/lib/aarch64-linux-gnu"]
    found: dict[str, Path] = {}
    todo = [(path.name, path) for path in programs]
    while todo:
        asked, path = todo.pop()
        for name in needed(path.read_bytes()):
            if name in found:
                continue
            file = next((place / name for place in places if (place / name).is_file()), None)
            if file is None:
                raise InfraError(f"{asked} needs {name}, which no unpacked package brings", place=str(tree))
            found[name] = file
            todo.append((name, file))
    return found
