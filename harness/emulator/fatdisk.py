# SPDX-License-Identifier: GPL-2.0-or-later
"""A FAT file system in memory, read only: what boot.img is. FAT12, 16 and 32, long names; no bytes raise or loop.

Layout: Microsoft's FAT specification 1.03 (fatgen103).
"""

import struct
from dataclasses import dataclass

_MOST_ENTRIES = 65536
_LONG_NAME = 0x0F
_DIRECTORY = 0x10
_LABEL = 0x08
_DELETED = 0xE5
#: Partition types of an MBR that hold FAT.
_TYPES = {0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E}


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    directory: bool
    cluster: int
    size: int


class FatDisk:
    """Made by `open_disk`. kind: 12, 16 or 32."""

    def __init__(
        self, data: memoryview, kind: int, *, cluster_size: int, fat: int, root: tuple[int, int], first: int
    ) -> None:
        self.kind = kind
        self._data = data
        self._cluster_size = cluster_size
        self._fat = fat
        self._first = first
        #: Offset and bytes of the root directory of FAT12 and 16; first cluster and 0 for FAT32.
        self._root = root

    def read(self, path: str) -> bytes | None:
        """A file's content; None when there is none of that name. Upper and lower case are the same; `//` is `/`."""
        parts = [part for part in path.split("/") if part]
        directory = self._list_root()
        for number, part in enumerate(parts):
            found = directory.get(part.casefold())
            if found is None or found.directory == (number == len(parts) - 1):
                return None
            if not found.directory:
                data = self._chain(found.cluster, found.size)
                return data[: found.size] if len(data) >= found.size else None
            directory = self._parse(self._chain(found.cluster, _MOST_ENTRIES * 32))
        return None

    def _list_root(self) -> dict[str, _Entry]:
        if self.kind == 32:
            return self._parse(self._chain(self._root[0], _MOST_ENTRIES * 32))
        return self._parse(bytes(self._data[self._root[0] : sum(self._root)]))

    def _chain(self, cluster: int, size: int) -> bytes:
        """The content of a cluster chain, at least `size` bytes if it has them. A chain that is too long is a ring."""
        found = []
        most = -(-size // self._cluster_size)
        while most > 0 and cluster >= 2:
            start = self._first + (cluster - 2) * self._cluster_size
            block = self._data[start : start + self._cluster_size]
            if not block:
                break
            found.append(bytes(block))
            cluster = self._next(cluster)
            most -= 1
        return b"".join(found)

    def _next(self, cluster: int) -> int:
        """The cluster that follows; 0 at the end."""
        at = self._fat + cluster * self.kind // 8
        word = bytes(self._data[at : at + (4 if self.kind == 32 else 2)])
        value = int.from_bytes(word, "little")
        if self.kind == 12:
            value = value >> 4 if cluster & 1 else value & 0xFFF
        if self.kind == 32:
            value &= 0x0FFFFFFF
        end = {12: 0xFF7, 16: 0xFFF7, 32: 0x0FFFFFF7}[self.kind]
        return 0 if value >= end else value

    def _parse(self, data: bytes) -> dict[str, _Entry]:
        """A directory's entries by their names in one case."""
        found: dict[str, _Entry] = {}
        long: dict[int, bytes] = {}
        checksum = -1
        for at in range(0, len(data) - 31, 32):
            raw = data[at : at + 32]
            if raw[0] == 0:
                break
            if raw[0] == _DELETED:
                long = {}
            elif raw[11] & 0x3F == _LONG_NAME:
                if raw[0] & 0x40:
                    long, checksum = {}, raw[13]
                long[raw[0] & 0x1F] = raw[1:11] + raw[14:26] + raw[28:32]
            else:
                entry = _entry(raw, long if checksum == _checksum(raw[:11]) else {}, wide=self.kind == 32)
                if not raw[11] & _LABEL and entry.name not in (".", ".."):
                    found.setdefault(entry.name.casefold(), entry)
                long, checksum = {}, -1
        return found


def _entry(raw: bytes, long: dict[int, bytes], *, wide: bool) -> _Entry:
    base, extension = raw[:8].rstrip(b" "), raw[8:11].rstrip(b" ")
    name = (base + (b"." + extension if extension else b"")).decode("latin-1")
    if long and sorted(long) == list(range(1, len(long) + 1)):
        text = b"".join(long[number] for number in sorted(long)).decode("utf-16-le", "replace")
        name = text.split("\0")[0]
    high = struct.unpack_from("<H", raw, 20)[0] if wide else 0
    low, size = struct.unpack_from("<HI", raw, 26)
    return _Entry(name, bool(raw[11] & _DIRECTORY), high << 16 | low, size)


def _checksum(short: bytes) -> int:
    value = 0
    for octet in short:
        value = ((value & 1) << 7) + (value >> 1) + octet & 0xFF
    return value


def open_disk(data: bytes) -> FatDisk | None:
    """A FAT file system that fills the data, or its first FAT partition; None when there is neither."""
    whole = memoryview(data)
    found = _file_system(whole)
    if found is not None or len(data) < 512 or data[510:512] != b"\x55\xaa":
        return found
    for number in range(4):
        kind, start, count = struct.unpack_from("<4xB3xII", whole, 446 + 16 * number)
        if kind in _TYPES and start:
            return _file_system(whole[start * 512 : (start + count) * 512])
    return None


def _file_system(data: memoryview) -> FatDisk | None:
    if len(data) < 512:
        return None
    sector, per_cluster, reserved, fats, entries, total16, _media, fat16 = struct.unpack_from("<HBHBHHBH", data, 11)
    total32, fat32 = struct.unpack_from("<I", data, 32)[0], struct.unpack_from("<I", data, 36)[0]
    total, fat = total16 or total32, fat16 or fat32
    good = sector in (512, 1024, 2048, 4096) and per_cluster and not per_cluster & (per_cluster - 1)
    if not (good and reserved and fats in (1, 2) and fat and total):
        return None
    root_sectors = -(-entries * 32 // sector)
    first = reserved + fats * fat + root_sectors
    clusters = (total - first) // per_cluster
    if clusters < 1 or first * sector >= len(data):
        return None
    kind = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
    root = ((reserved + fats * fat) * sector, entries * 32)
    if kind == 32:
        root = (struct.unpack_from("<I", data, 44)[0], 0)
    return FatDisk(
        data, kind, cluster_size=sector * per_cluster, fat=reserved * sector, root=root, first=first * sector
    )
