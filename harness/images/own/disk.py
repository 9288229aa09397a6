# SPDX-License-Identifier: GPL-2.0-or-later
"""An image's partition table and file systems, as sfdisk(8), blkid(8) and mtools(1) read them: no rights, no loop device."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, InfraError
from harness.images.tools import run

_DEADLINE = 60.0
#: What a Raspberry Pi's boot partition holds at least one of, on the top level.
_PI_FILES = re.compile(r"(?i)bootcode\.bin|start4?\.elf|config\.txt|kernel\w*\.img|bcm27\w+-rpi-\S+\.dtb")
_EXT = ("ext2", "ext3", "ext4")
_WHOLE = "name the image of a whole card, as it is written to one: .img or .img.xz"


@dataclass(frozen=True)
class Partition:
    """start, size: octets. kind: its file system as blkid names it ("vfat", "ext4", "" for none that it knows)."""

    number: int
    start: int
    size: int
    kind: str
    label: str = ""
    uuid: str = ""
    partuuid: str = ""

    def __str__(self) -> str:
        return f"{self.number}: {self.kind or 'no file system'} of {self.size >> 20} MiB" + (
            f" ({self.label})" if self.label else ""
        )


@dataclass(frozen=True)
class Disk:
    """A plain image and its partitions. image: what the user calls it, for errors."""

    path: Path
    image: Path
    partitions: tuple[Partition, ...]

    def mtools(self, partition: Partition) -> str:
        """The partition as an argument of mtools' -i."""
        return f"{self.path}@@{partition.start}"


def read(path: Path, image: Path) -> Disk:
    """The partitions of a plain image. Raises ConfigError when it is none, or ends before its last partition does."""
    length = path.stat().st_size
    if length < 1 << 20:
        raise ConfigError(f"the image holds {length} octets: that is no disk", place=str(image), remedy=_WHOLE)
    try:
        said = run(["sfdisk", "--json", path], f"reading the partition table of {image.name}", deadline=_DEADLINE)
        # Warnings stand before the table, and braces only in it.
        table = json.loads(said[said.index("{") : said.rindex("}") + 1])["partitiontable"]
        sector = int(table.get("sectorsize", 512))
        entries = [_entry(entry, table, sector) for entry in table.get("partitions", ())]
    except (InfraError, ValueError, KeyError, TypeError) as error:
        if (
            isinstance(error, InfraError)
            and "is not a recognized" not in str(error)
            and "does not contain" not in str(error)
        ):
            raise
        kind = _probe(path, 0, length).get("TYPE")
        what = f"it is a single {kind} file system" if kind else "it has no partition table"
        raise ConfigError(f"this is no disk image: {what}", place=str(image), remedy=_WHOLE) from error
    beyond = [number for number, start, size, _ in entries if start + size > length]
    if beyond:
        raise ConfigError(
            f"the image ends within its partition {beyond[0]}: {length >> 20} MiB are there",
            place=str(image),
            remedy="it was not copied or fetched to its end: fetch it again",
        )
    return Disk(path, image, tuple(_partition(path, *entry) for entry in entries))


def _entry(entry: dict[str, object], table: dict[str, object], sector: int) -> tuple[int, int, int, str]:
    """Number, start and size in octets, PARTUUID."""
    number = int(re.findall(r"\d+$", str(entry["node"]))[0])
    partuuid = str(entry.get("uuid", "")).lower()
    if not partuuid and table.get("label") == "dos":
        partuuid = f"{int(str(table['id']), 16):08x}-{number:02x}"
    return number, int(str(entry["start"])) * sector, int(str(entry["size"])) * sector, partuuid


def _partition(path: Path, number: int, start: int, size: int, partuuid: str) -> Partition:
    found = _probe(path, start, size)
    return Partition(
        number,
        start,
        size,
        found.get("TYPE", ""),
        found.get("LABEL_FATBOOT") or found.get("LABEL", ""),
        found.get("UUID", ""),
        partuuid,
    )


def _probe(path: Path, start: int, size: int) -> dict[str, str]:
    """What blkid says of a part of a file; empty when it knows of nothing there."""
    argv: list[str | Path] = ["blkid", "--probe", "--offset", str(start), "--size", str(size), "--output", "export"]
    try:
        said = run([*argv, path], f"looking into {path.name}", deadline=_DEADLINE)
    except InfraError as error:
        # 2: nothing found; 8: several signatures, which is as good as none.
        if "ended with 2" in str(error) or "ended with 8" in str(error):
            return {}
        raise
    words = (line.partition("=") for line in said.splitlines())
    return {key: shlex.split(value)[0] if value else "" for key, _, value in words}


def boot_partition(disk: Disk) -> Partition:
    """The first FAT partition with a Raspberry Pi's boot files. Raises ConfigError when there is none."""
    fat = [partition for partition in disk.partitions if partition.kind == "vfat"]
    seen: list[str] = []
    for partition in fat:
        argv = ["mdir", "-b", "-i", disk.mtools(partition), "::/"]
        try:
            said = run(argv, f"reading the boot partition of {disk.image.name}", deadline=_DEADLINE, env=MTOOLS)
        except InfraError as error:
            if "ended with" not in str(error) or "not installed" in str(error):
                raise
            said = ""
        names = [line.removeprefix("::/").rstrip("/") for line in said.splitlines() if line.startswith("::/")]
        if any(_PI_FILES.fullmatch(name) for name in names):
            return partition
        seen += names
    if any(name.lower() == "efi" for name in seen):
        why = "it starts by EFI, as PCs do: its FAT partition holds EFI/ and no file of a Raspberry Pi"
    elif fat:
        why = f"its FAT partition holds no boot file of a Raspberry Pi, but {', '.join(sorted(seen)[:4]) or 'nothing'}"
    else:
        why = f"it has no FAT partition: {_listed(disk)}"
    raise ConfigError(
        f"this is no image for a Raspberry Pi: {why}",
        place=str(disk.image),
        remedy="name an image for Raspberry Pis, whose first partition is FAT with config.txt and start4.elf",
    )


def root_partition(disk: Disk, root: str) -> Partition:
    """The ext4 partition that `root` names, the value of root= in cmdline.txt, else the only one there is.

    Raises ConfigError when there is none, or none that can be told.
    """
    named = next((partition for partition in disk.partitions if _is(partition, root)), None)
    ext = [partition for partition in disk.partitions if partition.kind in _EXT]
    found = named or (ext[0] if len(ext) == 1 else None)
    if found is not None and found.kind in _EXT:
        return found
    if found is not None:
        raise ConfigError(
            f"the image's root (partition {found}) is not ext4, which is all that is read here",
            place=str(disk.image),
            remedy="use an image with an ext4 root; Raspberry Pi OS, Debian's and Ubuntu's for the Raspberry Pi have one",
        )
    why = (
        f"it has {len(ext)} ext4 partitions, and root={root or '...'} names none of them"
        if ext
        else "it has no ext4 root"
    )
    raise ConfigError(
        f"the image's root cannot be told: {why}; its partitions: {_listed(disk)}",
        place=str(disk.image),
        remedy="name a Raspberry Pi's image with one ext4 root partition",
    )


def _is(partition: Partition, root: str) -> bool:
    key, _, value = root.partition("=")
    value = value.strip('"').lower()
    own = {"PARTUUID": partition.partuuid, "UUID": partition.uuid.lower(), "LABEL": partition.label.lower()}
    if key in own:
        return bool(value) and own[key] == value
    return re.fullmatch(rf"/dev/(mmcblk\d+p|sd[a-z]|nvme\d+n\d+p){partition.number}", root) is not None


def _listed(disk: Disk) -> str:
    return "; ".join(map(str, disk.partitions)) or "none"


#: mtools warn of a total number of sectors that is no multiple of a disk's geometry, and stop.
MTOOLS = {"MTOOLS_SKIP_CHECK": "1"}
