# SPDX-License-Identifier: GPL-2.0-or-later
"""What an initramfs holds: the names in its cpio archives, packed or not, one after the other.

The format is that of early-userspace/buffer-format.rst of the kernel's documentation.
"""

import bz2
import lzma
import subprocess
import zlib
from pathlib import Path

from harness.errors import ConfigError
from harness.images.tools import SEARCH, need

_NEWC = (b"070701", b"070702")
_HEADER = 110
#: More than a Pi's memory takes is not unpacked.
_LARGEST = 1 << 30
_ZSTD = b"\x28\xb5\x2f\xfd"


def names(path: Path) -> dict[str, int]:
    """Relative path -> mode bits, as in stat(2). Raises ConfigError when it cannot be unpacked."""
    try:
        return _names(path.read_bytes(), path)
    except (OSError, ValueError, EOFError, lzma.LZMAError, zlib.error, RecursionError) as error:
        raise ConfigError(
            f"the image's initramfs cannot be read: {error}",
            place=path.name,
            remedy="make it anew in the running system (update-initramfs -u), and take the image again",
        ) from error


def _names(data: bytes, path: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    at = 0
    while at < len(data):
        if data[at : at + 6] in _NEWC:
            name, mode, at = _entry(data, at)
            if name != "TRAILER!!!":
                found[name.removeprefix("./")] = mode
        elif data[at] == 0:
            rest = data[at : at + 4096].lstrip(b"\0")
            at += min(4096, len(data) - at) - len(rest)
        else:
            content = _unpacked(data[at:], path)
            if content[:6] not in _NEWC:
                raise ValueError("it holds no cpio archive")
            return found | _names(content, path)
    return found


def _entry(data: bytes, at: int) -> tuple[str, int, int]:
    """Name, mode, and where the next one begins."""
    # Not int(..., 16), which takes a sign: a negative size leads back, without end.
    fields = (data[at + 6 + 8 * field : at + 14 + 8 * field].decode("ascii") for field in (1, 6, 11))
    mode, size, length = (int.from_bytes(bytes.fromhex(field)) for field in fields)
    name = data[at + _HEADER : at + _HEADER + length - 1].decode("utf-8", "replace")
    start = at + _HEADER + length
    start += -(start - at) % 4
    return name, mode, start + size + -size % 4


def _unpacked(data: bytes, path: Path) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(31).decompress(data, _LARGEST)
    if data.startswith(b"\xfd7zXZ\x00") or data.startswith(b"\x5d\x00\x00"):
        return lzma.LZMADecompressor().decompress(data, _LARGEST)
    if data.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(data, _LARGEST)
    if data.startswith(_ZSTD):
        need(["zstd"])
        argv = ["zstd", "--decompress", "--stdout", "--quiet", "--memory=512MB"]
        done = subprocess.run(argv, input=data, capture_output=True, timeout=120, check=False, env={"PATH": SEARCH})
        if done.returncode:
            raise ValueError(done.stderr.decode("utf-8", "replace").strip()[-200:] or "zstd failed")
        return done.stdout
    raise ValueError(f"{path.name} is packed in a way that is not known here")
