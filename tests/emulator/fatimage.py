# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes FAT file systems for tests, with long names and directories, in a few lines."""

import struct

_SECTOR = 512
#: By kind: clusters of one sector (enough to be of that kind), sectors of one FAT, entries of the root directory.
_SHAPES = {12: (600, 9, 224), 16: (5000, 20, 512), 32: (66000, 516, 0)}


def image(files: dict[str, bytes], kind: int = 16) -> bytes:
    """files: path: content."""
    clusters, fat_sectors, entries = _SHAPES[kind]
    disk = _Disk(kind, clusters)
    tree: dict[str, object] = {}
    for path, data in files.items():
        *folders, name = path.split("/")
        where = tree
        for folder in folders:
            where = where.setdefault(folder, {})  # type: ignore[assignment]
        where[name] = data
    if kind == 32:
        root_cluster = disk.store(b"\0" * _SECTOR)  # number 2, written again below
        root = disk.directory(tree)
        root_cluster = disk.store(root)
        root_area = b""
    else:
        root_cluster = 0
        root_area = disk.directory(tree).ljust(entries * 32, b"\0")
    reserved = 32 if kind == 32 else 1
    total = reserved + 2 * fat_sectors + len(root_area) // _SECTOR + clusters
    small = total if total < 65536 and kind != 32 else 0
    boot = b"\xeb\x3c\x90mkfs.fat" + struct.pack(
        "<HBHBHHBHHHII",
        _SECTOR,
        1,
        reserved,
        2,
        entries,
        small,
        0xF8,
        0 if kind == 32 else fat_sectors,
        32,
        2,
        0,
        total,
    )
    if kind == 32:
        boot += struct.pack("<IHHI", fat_sectors, 0, 0, root_cluster)
    boot = boot.ljust(510, b"\0") + b"\x55\xaa"
    fat = disk.table().ljust(fat_sectors * _SECTOR, b"\0")
    assert len(fat) == fat_sectors * _SECTOR
    data = b"".join(disk.blocks).ljust(clusters * _SECTOR, b"\0")
    return boot.ljust(reserved * _SECTOR, b"\0") + fat * 2 + root_area + data


def partitioned(system: bytes, kind: int = 0x0C) -> bytes:
    """The file system as the first partition of a disk."""
    entry = struct.pack("<B3xB3xII", 0x80, kind, 2, len(system) // _SECTOR)
    return (b"\0" * 446 + entry).ljust(510, b"\0") + b"\x55\xaa" + b"\0" * _SECTOR + system


class _Disk:
    def __init__(self, kind: int, clusters: int) -> None:
        self.kind = kind
        self.blocks: list[bytes] = []
        self._next: dict[int, int] = {}
        self._most = clusters

    def store(self, data: bytes) -> int:
        """The first cluster of a chain that leaves holes: every other cluster belongs to nobody."""
        pieces = [data[at : at + _SECTOR].ljust(_SECTOR, b"\0") for at in range(0, max(len(data), 1), _SECTOR)]
        numbers = []
        for piece in pieces:
            numbers.append(len(self.blocks) + 2)
            self.blocks += [piece, b"\xff" * _SECTOR]
        for number, following in zip(numbers, [*numbers[1:], 0x0FFFFFFF], strict=True):
            self._next[number] = following
        assert len(self.blocks) <= self._most
        return numbers[0]

    def directory(self, tree: dict[str, object]) -> bytes:
        found = b""
        for number, (name, inside) in enumerate(tree.items()):
            folder = isinstance(inside, dict)
            data = self.directory(inside) if isinstance(inside, dict) else inside
            assert isinstance(data, bytes)
            cluster = self.store(data) if data or folder else 0
            short = f"FILE{number:04d}".encode().ljust(11)
            found += _long(name, short)
            found += short + bytes((0x10 if folder else 0x20,)) + b"\0" * 8 + struct.pack("<H", cluster >> 16)
            found += b"\0" * 4 + struct.pack("<HI", cluster & 0xFFFF, 0 if folder else len(data))
        return found

    def table(self) -> bytes:
        width = max(self._next, default=1) + 1
        values = [0x0FFFFFF8, 0x0FFFFFFF, *(self._next.get(number, 0) for number in range(2, width))]
        if self.kind == 32:
            return struct.pack(f"<{len(values)}I", *values)
        if self.kind == 16:
            return struct.pack(f"<{len(values)}H", *(value & 0xFFFF for value in values))
        whole = sum((value & 0xFFF) << 12 * place for place, value in enumerate(values))
        return whole.to_bytes(len(values) * 3 // 2 + 2, "little")


def _long(name: str, short: bytes) -> bytes:
    checksum = 0
    for octet in short:
        checksum = ((checksum & 1) << 7) + (checksum >> 1) + octet & 0xFF
    text = name.encode("utf-16-le") + b"\0\0"
    parts = [text[at : at + 26].ljust(26, b"\xff") for at in range(0, len(text), 26)]
    found = b""
    for number in range(len(parts), 0, -1):
        part = parts[number - 1]
        first = number | (0x40 if number == len(parts) else 0)
        found += bytes((first,)) + part[:10] + bytes((0x0F, 0, checksum)) + part[10:22] + b"\0\0" + part[22:]
    return found
