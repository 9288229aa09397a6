# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of cards, whole, broken and foreign: what is found in them, and what is said of those that cannot be used."""

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ConfigError, InfraError
from harness.images.own import disk, extract, source
from harness.images.own.make import own_set
from tests.images import cards

pytestmark = [
    pytest.mark.gear,
    pytest.mark.skipif(
        not cards.have(*cards.TOOLS), reason="not installed: fdisk, dosfstools, mtools, e2fsprogs or fuse2fs"
    ),
]
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/fuse").exists(), reason="needs root and /dev/fuse")

MIB = cards.MIB
CMDLINE = f"console=serial0,115200 console=tty1 root=PARTUUID={cards.DISK_ID}-02 rootfstype=ext4 rootwait quiet\n"


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    return folder


def boot_folder(folder: Path, files: dict[str, str] | None = None) -> Path:
    boot = folder / "boot"
    for name, text in (
        files or {"config.txt": "auto_initramfs=1\n", "cmdline.txt": CMDLINE, "overlays/a.dtbo": "x"}
    ).items():
        (boot / name).parent.mkdir(parents=True, exist_ok=True)
        (boot / name).write_text(text)
    return boot


def root_folder(folder: Path, machine: int = 0xB7) -> Path:
    root = folder / "root"
    for name in ("etc", "bin", "boot/firmware"):
        (root / name).mkdir(parents=True)
    (root / "etc/fstab").write_text(f"PARTUUID={cards.DISK_ID}-02 / ext4 defaults 0 1\n")
    (root / "etc/os-release").write_text('PRETTY_NAME="Raspbian GNU/Linux 12 (bookworm)"\n')
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\npi:x:1000:1000::/home/pi:/bin/sh\n")
    (root / "etc/shadow").write_text("root:*:1::::::\npi:$y$j9T$abc:1::::::\n")
    (root / "bin/sh").write_bytes(b"\x7fELF\x02\x01" + bytes(12) + struct.pack("<H", machine))
    return root


def card(folder: Path, *, table: str = "dos", machine: int = 0xB7, boot: dict[str, str] | None = None) -> Path:
    kinds = ("c", "83") if table == "dos" else ("uefi", "linux")
    fat = cards.fat(boot_folder(folder, boot), folder / "fat")
    ext4 = cards.ext4(root_folder(folder, machine), folder / "ext4")
    return cards.card(folder / "own.img", list(zip(kinds, (fat, ext4), strict=True)), table=table)


def quiet(_line: str) -> None:
    pass


# -- what is read -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["dos", "gpt"])
def test_boot_and_root_are_found(table: str, tools: Path) -> None:
    path = card(tools, table=table)
    found = disk.read(path, path)
    assert [(part.number, part.start, part.size, part.kind) for part in found.partitions] == [
        (1, MIB, 8 * MIB, "vfat"),
        (2, 9 * MIB, 16 * MIB, "ext4"),
    ]
    boot, root = found.partitions
    assert (boot.label, root.label) == ("bootfs", "rootfs")
    assert disk.boot_partition(found) == boot
    for name in (
        f"PARTUUID={root.partuuid.upper()}",
        f"UUID={root.uuid}",
        "LABEL=rootfs",
        "/dev/mmcblk0p2",
        "/dev/sda2",
        "",
    ):
        assert disk.root_partition(found, name) == root
    if table == "dos":
        assert root.partuuid == f"{cards.DISK_ID}-02"


def test_logical_partitions_are_found(tools: Path) -> None:
    """NOOBS cards have them: the extended partition holds boot and root."""
    fat = cards.fat(boot_folder(tools), tools / "fat")
    ext4 = cards.ext4(root_folder(tools), tools / "ext4")
    path = tools / "own.img"
    with path.open("wb") as file:
        file.truncate(40 * MIB)
    starts = (2 * MIB, 12 * MIB)
    lines = [f"start={MIB >> 9}, size={36 * MIB >> 9}, type=5"]
    lines += [
        f"start={at >> 9}, size={part.stat().st_size >> 9}, type=83"
        for at, part in zip(starts, (fat, ext4), strict=True)
    ]
    cards.run(["sfdisk", "--quiet", path], "label: dos\n" + "\n".join(lines) + "\n")
    for at, part in zip(starts, (fat, ext4), strict=True):
        cards.run(["dd", f"if={part}", f"of={path}", "bs=1M", f"seek={at >> 20}", "conv=notrunc", "status=none"])
    found = disk.read(path, path)
    assert disk.boot_partition(found).number == 5
    assert disk.root_partition(found, "/dev/mmcblk0p6").number == 6


def test_the_root_is_the_one_that_the_command_line_names(tools: Path) -> None:
    fat = cards.fat(boot_folder(tools), tools / "fat")
    data = cards.ext4(root_folder(tools), tools / "ext4")
    path = cards.card(tools / "own.img", [("c", fat), ("83", data), ("83", data)])
    found = disk.read(path, path)
    assert disk.root_partition(found, "/dev/mmcblk0p3").number == 3
    with pytest.raises(ConfigError, match=r"2 ext4 partitions, and root=LABEL=gone names none of them"):
        disk.root_partition(found, "LABEL=gone")


@needs_root
def test_owners_modes_links_devices_and_capabilities_come_along(tools: Path) -> None:
    root = root_folder(tools)
    (root / "bin/su").write_text("x")
    os.chown(root / "bin/su", 0, 5)
    (root / "bin/su").chmod(0o4755)
    (root / "bin/link").symlink_to("/etc/fstab")
    os.chown(root / "bin/link", 1000, 1000, follow_symlinks=False)
    os.link(root / "bin/su", root / "bin/su2")
    os.mknod(root / "bin/null", 0o020666, os.makedev(1, 3))
    os.setxattr(root / "bin/sh", "user.note", b"kept")
    path = cards.card(
        tools / "own.img",
        [("c", cards.fat(boot_folder(tools), tools / "fat")), ("83", cards.ext4(root, tools / "ext4"))],
    )
    found = disk.read(path, path)
    to = tools / "out/root"
    to.parent.mkdir()
    extract.root_tree(found, found.partitions[1], to)
    status = (to / "bin/su").stat()
    assert (status.st_mode, status.st_uid, status.st_gid, status.st_nlink) == (0o104755, 0, 5, 2)
    assert (to / "bin/link").lstat().st_uid == 1000
    assert (to / "bin/null").stat().st_rdev == os.makedev(1, 3)
    assert os.getxattr(to / "bin/sh", "user.note") == b"kept"
    assert {path.name for path in to.parent.iterdir()} == {"root"}
    assert not (to / "lost+found").exists()


# -- the file -----------------------------------------------------------------------------------------------------------------

PACKERS: dict[str, Callable[[bytes], bytes]] = {"xz": lzma.compress, "gz": gzip.compress, "bz2": bz2.compress}


@pytest.mark.parametrize("packing", [*PACKERS, "zip"])
def test_a_packed_image_is_unpacked_with_its_holes(packing: str, tmp_path: Path) -> None:
    content = b"a" * 100 + bytes(5 * MIB) + b"b" * 100 + bytes(3 * MIB)
    path = tmp_path / "own.img.packed"
    if packing == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("2026-raspios.img", content)
            archive.writestr("README", "read me")
    else:
        path.write_bytes(PACKERS[packing](content))
    found = source.identify(path)
    assert found.packing == packing
    source.unpack(found, tmp_path / "plain", quiet)
    assert (tmp_path / "plain").read_bytes() == content
    assert (tmp_path / "plain").stat().st_blocks * 512 < 4 * MIB


@pytest.mark.parametrize("packing", [*PACKERS])
@pytest.mark.parametrize("wrong", ["short", "flipped"])
def test_damaged_packing_is_told(packing: str, wrong: str, tmp_path: Path) -> None:
    data = bytearray(PACKERS[packing](os.urandom(MIB)))
    if wrong == "short":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 0xFF
    path = tmp_path / f"own.img.{packing}"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=f"the image is damaged: its .{packing} data") as raised:
        source.unpack(source.identify(path), tmp_path / "plain", quiet)
    assert "SHA-256" in raised.value.remedy


def test_a_file_is_another_when_it_changes_or_moves(tmp_path: Path) -> None:
    path = tmp_path / "own.img"
    path.write_bytes(b"1" * 600)
    first = source.identify(path).identity
    assert source.identify(path).identity == first
    path.write_bytes(b"2" * 600)
    second = source.identify(path).identity
    shutil.move(path, tmp_path / "other.img")
    assert len({first, second, source.identify(tmp_path / "other.img").identity}) == 3


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "own.img.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    os.mkfifo(tmp_path / "pipe")
    for name, says in {
        "gone": "no such image",
        ".": "a folder",
        "pipe": "no regular file",
        "own.img.zst": "packed",
    }.items():
        with pytest.raises(ConfigError, match=says) as raised:
            source.identify(tmp_path / name)
        assert raised.value.place == str(tmp_path / name)
        assert raised.value.remedy


# -- broken and foreign ones ----------------------------------------------------------------------------------------------------


def laid_out(path: Path, tmp_path: Path) -> None:
    own_set(path, progress=quiet, folder=tmp_path / "cache")


def short(folder: Path) -> Path:
    path = card(folder)
    os.truncate(path, 12 * MIB)
    return path


def noise(folder: Path) -> Path:
    path = folder / "own.img"
    path.write_bytes(b"\xa5" * (2 * MIB))
    return path


def loop(folder: Path) -> Path:
    """An extended partition whose chain leads back to itself: no end of partitions."""
    path = card(folder)
    entry = struct.pack("<BBBBBBBBII", 0, 0, 0, 0, 0x05, 0, 0, 0, 2048, 40960)
    with path.open("r+b") as file:
        file.seek(446)
        file.write(entry + bytes(48))
        file.seek(MIB)
        file.write(bytes(446) + struct.pack("<BBBBBBBBII", 0, 0, 0, 0, 0x83, 0, 0, 0, 63, 100))
        file.write(struct.pack("<BBBBBBBBII", 0, 0, 0, 0, 0x05, 0, 0, 0, 0, 40960) + bytes(32) + b"\x55\xaa")
    return path


def of_two(folder: Path, boot: dict[str, str], second: Callable[[Path], None]) -> Path:
    part = folder / "second"
    with part.open("wb") as file:
        file.truncate(16 * MIB)
    second(part)
    return cards.card(folder / "own.img", [("c", cards.fat(boot_folder(folder, boot), folder / "fat")), ("83", part)])


def btrfs(part: Path) -> None:
    """Its superblock's magic (fs/btrfs/ctree.h), which is what blkid goes by, with the checksum type that it wants."""
    with part.open("r+b") as file:
        file.seek(65536 + 64)
        file.write(b"_BHRfS_M")


def damage(folder: Path) -> Path:
    path = card(folder)
    with path.open("r+b") as file:
        # The inode table and what follows, but not the superblock.
        file.seek(9 * MIB + 4096)
        file.write(os.urandom(6 * MIB))
    return path


PI = {"config.txt": "", "cmdline.txt": "root=/dev/mmcblk0p2\n"}
BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "truncated": (short, r"the image ends within its partition 2: 12 MiB are there"),
    "noise": (noise, r"this is no disk image: it has no partition table"),
    "a file system": (
        lambda folder: cards.ext4(root_folder(folder), folder / "own.img"),
        r"it is a single ext4 file system",
    ),
    "an endless chain": (loop, r"no image for a Raspberry Pi|no disk image"),
    "of a PC": (
        lambda folder: card(folder, table="gpt", boot={"EFI/BOOT/BOOTX64.EFI": "x"}),
        r"no image for a Raspberry Pi: it starts by EFI, as PCs do",
    ),
    "without boot files": (
        lambda folder: card(folder, boot={"readme": "x"}),
        r"its FAT partition holds no boot file .* readme",
    ),
    "without FAT": (
        lambda folder: cards.card(folder / "own.img", [("83", cards.ext4(root_folder(folder), folder / "ext4"))]),
        r"it has no FAT partition: 1: ext4 of 16 MiB \(rootfs\)",
    ),
    "without a command line": (lambda folder: card(folder, boot={"config.txt": "x"}), r"has no cmdline.txt"),
    "btrfs": (lambda folder: of_two(folder, PI, btrfs), r"root \(partition 2: btrfs of 16 MiB\) is not ext4"),
    "no root": (lambda folder: of_two(folder, PI, lambda _part: None), r"root \(partition 2: no file system"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_told_and_leaves_nothing(name: str, tools: Path, tmp_path: Path) -> None:
    make, says = BAD[name]
    path = make(tools)
    with pytest.raises(ConfigError, match=says) as raised:
        laid_out(path, tmp_path)
    assert raised.value.place == str(path)
    assert raised.value.remedy
    assert [
        left.name for left in (tmp_path / "cache/images").iterdir() if left.name not in {"debs", "build.lock"}
    ] == []


@needs_root
def test_a_damaged_root_is_told(tools: Path, tmp_path: Path) -> None:
    path = damage(tools)
    with pytest.raises(ConfigError, match="root file system is damaged"):
        laid_out(path, tmp_path)


@needs_root
@pytest.mark.parametrize(("machine", "says"), [(0x3E, "made for x86-64"), (0x03, "made for x86")])
def test_a_system_for_pcs_is_told(machine: int, says: str, tools: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        laid_out(card(tools, machine=machine), tmp_path)


# -- the cache ------------------------------------------------------------------------------------------------------------------


@needs_root
def test_an_image_is_laid_out_once_until_it_changes(tools: Path, tmp_path: Path) -> None:
    path = card(tools)
    kept = tmp_path / "cache"
    lines: list[str] = []
    _set, own = own_set(path, progress=lines.append, folder=kept)
    assert (own.system.name, own.system.processor, own.system.users) == (
        "Raspbian GNU/Linux 12 (bookworm)",
        "arm64",
        ("pi",),
    )
    assert own.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert any("copying its root" in line for line in lines)
    before = list(lines)
    assert own_set(path, progress=lines.append, folder=kept)[1] == own
    assert lines == before
    assert next((kept / "images").glob("image-*")).stat().st_mode & 0o777 == 0o700
    # What was left half by a killed build, and what was damaged since, is made anew.
    place = next((kept / "images").glob("image-*"))
    (place / "boot/config.txt").write_text("changed")
    (kept / "images/.build-image-left").mkdir()
    own_set(path, progress=lines.append, folder=kept)
    assert any("boot/config.txt is not what was built" in line for line in lines)
    assert not (kept / "images/.build-image-left").exists()
    os.utime(path)
    own_set(path, progress=lines.append, folder=kept)
    assert len(list((kept / "images").glob("image-*"))) == 2


@needs_root
def test_a_full_disk_is_told(tools: Path, tmp_path: Path) -> None:
    """A file system of 12 MiB for the cache: the root's copy does not fit."""
    path = card(tools)
    with path.open("r+b") as file:
        file.seek(14 * MIB)
        file.write(os.urandom(10 * MIB))
    small = tmp_path / "small"
    small.mkdir()
    cards.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small])
    try:
        with pytest.raises(InfraError) as raised:
            own_set(path, progress=quiet, folder=small)
    finally:
        cards.run(["umount", small])
    assert "own.img cannot be laid out: No space left" in raised.value.what
    assert "PIBOOT_CACHE" in raised.value.remedy


def test_a_name_that_leads_out_of_its_folder_does_not(tools: Path) -> None:
    """A long file name with slashes, which no system makes but FAT can hold."""
    fat = cards.fat(boot_folder(tools, {"config.txt": "", "aa_aa_outside": "x"}), tools / "fat")
    data = fat.read_bytes()
    # A long name's first part: five characters, attributes and checksum, the next six (Microsoft's FAT specification).
    first, then = ("aa_aa".encode("utf-16-le"), "_outsi".encode("utf-16-le"))
    at = data.index(first)
    assert data[at + 13 : at + 25] == then
    changed = (
        data[:at]
        + "../..".encode("utf-16-le")
        + data[at + 10 : at + 13]
        + "/outsi".encode("utf-16-le")
        + data[at + 25 :]
    )
    fat.write_bytes(changed)
    path = cards.card(tools / "own.img", [("c", fat)])
    found = disk.read(path, path)
    to = tools / "a/b/boot"
    to.parent.mkdir(parents=True)
    extract.boot_files(found, disk.boot_partition(found), to)
    assert len(list(to.iterdir())) == 2
    assert [item.name for item in (*tools.glob("*outside*"), *to.parent.glob("*outside*"))] == []
