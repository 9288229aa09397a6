# SPDX-License-Identifier: GPL-2.0-or-later
"""The image's file: which one it is, and its content as a plain, sparse file."""

import bz2
import gzip
import hashlib
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from harness.config.files import NotAFileError, open_regular
from harness.errors import ConfigError

#: Octets read, and left out as a hole when they are all zero, at a time.
_CHUNK = 1 << 20
#: A line of progress every so many octets of content.
_TELL = 512 << 20
#: Longer content than any SD card has is a decompression bomb.
_LARGEST = 1 << 40
_MAGIC = {b"\xfd7zXZ\x00": "xz", b"\x1f\x8b": "gz", b"BZh": "bz2", b"PK\x03\x04": "zip"}
_UNPACKERS = {b"\x28\xb5\x2f\xfd": "unzstd", b"7z\xbc\xaf\x27\x1c": "7z x"}


@dataclass(frozen=True)
class Source:
    """packing: "" for a plain image, else "xz", "gz", "bz2" or "zip". identity: changes when the file does, or its place."""

    path: Path
    packing: str
    identity: str


def identify(path: Path) -> Source:
    """Look at the file without reading it. Raises ConfigError when it cannot be what `image:` wants."""
    try:
        file, _mode = open_regular(path)
        with file:
            status, head = os.fstat(file.fileno()), file.read(8)
    except NotAFileError as error:
        what = "a folder" if error.is_folder else "no regular file"
        raise ConfigError(f"the image is {what}", place=str(path), remedy="name an .img or .img.xz file") from error
    except FileNotFoundError as error:
        raise ConfigError("there is no such image", place=str(path), remedy="check the path: image: FILE") from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the image cannot be read: {getattr(error, 'strerror', None) or error}",
            place=str(path),
            remedy="see that you may read it",
        ) from error
    for magic, program in _UNPACKERS.items():
        if head.startswith(magic):
            raise ConfigError(
                "the image is packed in a way that is not read here", place=str(path), remedy=f"unpack it: {program}"
            )
    packing = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")
    facts = (path.absolute(), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return Source(path, packing, hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest())


def digest(source: Source) -> str:
    """SHA-256 of the file, packed as it is: what its site names. Raises OSError."""
    with source.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(source: Source, to: Path, progress: Callable[[str], None]) -> None:
    """Write the content of a packed image to `to`, with holes where it is zero.

    progress: a line per half GiB. Raises ConfigError for a damaged file, OSError for a full disk.
    """
    with source.path.open("rb") as packed, to.open("wb") as plain:
        try:
            with closing(_opened(source, packed)) as content:
                _copy(content, plain, source.path, progress)
        except (EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, ValueError) as error:
            raise _damaged(source, str(error)) from error
        except OSError as error:
            # bz2 says of bad data what the disk says of bad sectors.
            if error.errno is not None:
                raise
            raise _damaged(source, str(error)) from error


def _opened(source: Source, packed: BinaryIO) -> "IO[bytes] | gzip.GzipFile | bz2.BZ2File":
    if source.packing == "zip":
        archive = zipfile.ZipFile(packed)
        names = [name for name in archive.namelist() if name.endswith(".img")]
        if len(names) != 1:
            raise ConfigError(
                f"the archive holds {len(names)} .img files, one was expected",
                place=str(source.path),
                remedy="unpack it (unzip), and name the .img file",
            )
        return archive.open(names[0])
    if source.packing == "xz":
        return lzma.LZMAFile(packed)
    return gzip.GzipFile(fileobj=packed) if source.packing == "gz" else bz2.BZ2File(packed)


def _copy(
    content: "IO[bytes] | gzip.GzipFile | bz2.BZ2File", plain: BinaryIO, path: Path, progress: Callable[[str], None]
) -> None:
    done, told = 0, 0
    while data := content.read(_CHUNK):
        if data.count(0) == len(data):
            plain.seek(len(data), os.SEEK_CUR)
        else:
            plain.write(data)
        done += len(data)
        if done - told >= _TELL:
            told = done
            progress(f"unpacking {path.name}: {done / (1 << 30):.1f} GiB")
        if done > _LARGEST:
            raise ConfigError("the image unpacks to more than 1 TiB", place=str(path), remedy="name another image")
    plain.truncate(done)


def _damaged(source: Source, why: str) -> ConfigError:
    return ConfigError(
        f"the image is damaged: its .{source.packing} data cannot be unpacked ({why})",
        place=str(source.path),
        remedy="fetch it again, and compare its SHA-256 with the one that its site names",
    )


def copy_range(source: Path, start: int, size: int, to: Path) -> None:
    """Write a part of a plain image to a file of its own, with holes. Raises OSError."""
    with source.open("rb") as disk, to.open("wb") as part:
        disk.seek(start)
        left = size
        while left and (data := disk.read(min(_CHUNK, left))):
            if data.count(0) == len(data):
                part.seek(len(data), os.SEEK_CUR)
            else:
                part.write(data)
            left -= len(data)
        part.truncate(size)
