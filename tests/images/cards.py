# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of SD cards as tests need them, made by the usual tools: no loop device, no mount."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.images.tools import SEARCH

MIB = 1 << 20
#: The disk identifier of a Raspberry Pi OS image, from which the partitions' PARTUUIDs are made.
DISK_ID = "4e639091"
TOOLS = ("sfdisk", "mkfs.vfat", "mcopy", "mkfs.ext4", "fuse2fs", "blkid", "e2fsck")


def run(argv: Sequence[str | Path], stdin: str = "") -> None:
    environment = {**os.environ, "PATH": SEARCH, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C"}
    subprocess.run(
        [str(word) for word in argv], input=stdin, text=True, capture_output=True, check=True, env=environment
    )


def have(*programs: str) -> bool:
    return all(shutil.which(name, path=SEARCH) for name in programs)


def fat(folder: Path, to: Path, size: int = 8 * MIB, label: str = "bootfs") -> Path:
    """A FAT file system with a folder's files."""
    to.unlink(missing_ok=True)
    run(["mkfs.vfat", "-C", "-n", label, to, str(size >> 10)])
    if any(folder.iterdir()):
        run(["mcopy", "-s", "-Q", "-i", to, *sorted(folder.iterdir()), "::"])
    return to


def ext4(folder: Path, to: Path, size: int = 16 * MIB, label: str = "rootfs") -> Path:
    """An ext4 file system with a folder's files, as root with all their owners."""
    with to.open("wb") as file:
        file.truncate(size)
    run(["mkfs.ext4", "-q", "-F", "-L", label, "-d", folder, to])
    return to


def card(to: Path, parts: Sequence[tuple[str, Path]], *, table: str = "dos", first: int = MIB) -> Path:
    """An image with these partitions, (type, content) each, one after the other. table: "dos" or "gpt"."""
    lines = [f"label: {table}"] + ([f"label-id: 0x{DISK_ID}"] if table == "dos" else [])
    at, places = first, []
    for kind, content in parts:
        size = content.stat().st_size
        lines.append(f"start={at >> 9}, size={size >> 9}, type={kind}")
        places.append((at, content))
        at += size + -size % MIB
    with to.open("wb") as file:
        file.truncate(at + MIB)
    run(["sfdisk", "--quiet", to], "\n".join(lines) + "\n")
    for start, content in places:
        run(["dd", f"if={content}", f"of={to}", "bs=1M", f"seek={start >> 20}", "conv=notrunc,sparse", "status=none"])
    return to
