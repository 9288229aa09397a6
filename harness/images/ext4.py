# SPDX-License-Identifier: GPL-2.0-or-later
"""Root file systems as ext4 images, made without mounting them, so without a loop device: mke2fs(8) -d of e2fsprogs."""

from pathlib import Path

from harness.images.tools import run

MIB = 1 << 20
#: Room that a running system has: logs, /tmp, an upgrade of a few packages.
_SPARE = 0.35
_LEAST = 64 * MIB
_DEADLINE = 300.0


def make_image(root: Path, image: Path, *, size: int = 0, label: str = "piboot-root") -> None:
    """`root` with its owners and modes as an ext4 image, sparse. size: octets; 0 for its content and a third more.

    Raises InfraError.
    """
    size = size or max(_LEAST, int(_octets(root) * (1 + _SPARE)) + 32 * MIB)
    size += -size % MIB
    with image.open("wb") as file:
        file.truncate(size)
    # The tables are written now (as holes), not by a thread of the first kernel that mounts it.
    options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    argv: list[str | Path] = [
        "mke2fs",
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-L",
        label,
        "-J",
        "size=4",
        "-E",
        options,
        "-d",
        root,
        image,
    ]
    run(argv, f"making {image.name} from {root}", deadline=_DEADLINE)


def _octets(root: Path) -> int:
    """What the files of a directory take up in blocks of 4 KiB, and an inode each."""
    return sum((path.lstat().st_size + 4095 & ~4095) + 256 for path in root.rglob("*"))
