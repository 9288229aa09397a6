# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a folder as a cpio archive in the `newc` format, as the kernel takes it for an initramfs.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of Linux: 110 bytes of ASCII header (magic and 13 numbers of 8
hex digits), NUL-terminated name, padding to 4, data, padding to 4; `TRAILER!!!` ends it. Reproducible: names sorted, all
owned by root, times zero.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

MAGIC = "070701"


def _entry(name: str, number: int, mode: int, data: bytes) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = (MAGIC + "".join(f"{field:08x}" for field in fields)).encode() + encoded
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def _tree(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _tree(path)


def archive(folder: Path) -> bytes:
    """All of `folder`: folders, files and symbolic links; other kinds (devtmpfs makes the devices) are a ValueError."""
    out = bytearray(_entry(".", 1, stat.S_IFDIR | 0o755, b""))
    for number, path in enumerate(_tree(folder), start=2):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            data = bytes(path.readlink())
        elif stat.S_ISREG(mode):
            data = path.read_bytes()
        elif stat.S_ISDIR(mode):
            data = b""
        else:
            raise ValueError(f"{path}: not a file, folder or link")
        out += _entry(str(path.relative_to(folder)), number, mode, data)
    out += _entry("TRAILER!!!", 0, 0, b"")
    return bytes(out) + bytes(-len(out) % 512)
