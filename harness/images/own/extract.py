# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot and the root partition of an image as folders.

FAT by mtools, as anybody. ext4 by fuse2fs of e2fsprogs, which reads a file like a device: owners, modes, links, device nodes,
capabilities and all other attributes come along, which `debugfs -R rdump` loses; only root can write such a folder.
"""

import os
from contextlib import suppress
from pathlib import Path

from harness.errors import ConfigError, InfraError
from harness.images.own.disk import MTOOLS, Disk, Partition
from harness.images.own.source import copy_range
from harness.images.tools import remove, run

_DEADLINE = 1800.0
_FULL = "free some space, or set PIBOOT_CACHE to another disk"
#: It looks every path up from the root, entry by entry: what the kernel remembers for good halves the time.
_OPTIONS = "ro,kernel_cache,entry_timeout=86400,attr_timeout=86400,negative_timeout=86400"
#: fuse2fs runs on while it is mounted, and ends with the namespaces that both run in.
_COPY = f'fuse2fs -o {_OPTIONS} "$1" "$2" && cp --archive --sparse=auto "$2/." "$3"'


def boot_files(disk: Disk, partition: Partition, folder: Path) -> None:
    """Everything in the boot partition. Raises ConfigError when its file system is damaged, InfraError."""
    folder.mkdir()
    argv = ["mcopy", "-s", "-n", "-m", "-i", disk.mtools(partition), "::*", str(folder)]
    try:
        run(argv, f"reading the boot partition of {disk.image.name}", deadline=_DEADLINE, env=MTOOLS, remedy=_FULL)
    except InfraError as error:
        if "No space left" in str(error) or "ended with" not in error.what:
            raise
        raise ConfigError(
            f"the image's boot partition is damaged: {_last(error)}",
            place=str(disk.image),
            remedy="fetch the image again, or repair it (fsck.vfat)",
        ) from error
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def root_tree(disk: Disk, partition: Partition, folder: Path) -> None:
    """The root partition's files below `folder`, which is made. Raises ConfigError when it is damaged, InfraError."""
    if os.geteuid() != 0:
        raise InfraError(
            "laying out the image's root needs root: the files in it have many owners",
            remedy="run it once with sudo; later runs use the cache",
        )
    if not Path("/dev/fuse").exists():
        raise InfraError(
            "reading the image's root needs /dev/fuse, which is not there",
            remedy="sudo modprobe fuse; in a container: give it that device",
        )
    work = folder.with_name("root.ext4")
    mounted = folder.with_name("mounted")
    copy_range(disk.path, partition.start, partition.size, work)
    _check(work, disk)
    mounted.mkdir()
    folder.mkdir()
    argv = ["sh", "-ec", _COPY, "sh", str(work), str(mounted), str(folder)]
    run(argv, f"copying the root of {disk.image.name}", deadline=_DEADLINE, private=True, remedy=_FULL)
    with suppress(OSError):
        # As long as nothing was saved there.
        (folder / "lost+found").rmdir()
    remove(mounted)
    work.unlink()


def _check(work: Path, disk: Disk) -> None:
    """Replay its journal, and mend what is harmless: an image that was taken of a running card is not clean."""
    try:
        run(["sh", "-c", 'e2fsck -f -p "$1" || [ $? -le 2 ]', "sh", work], "checking the root", deadline=_DEADLINE)
    except InfraError as error:
        if "not found" in str(error):
            raise
        raise ConfigError(
            f"the image's root file system is damaged: {_last(error)}",
            place=str(disk.image),
            remedy="fetch the image again, or repair its root (e2fsck)",
        ) from error


def _last(error: InfraError) -> str:
    """The last line that a tool said."""
    lines = [line.strip() for line in error.what.splitlines() if line.strip()]
    return lines[-1] if len(lines) > 1 else error.what
