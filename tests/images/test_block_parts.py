# SPDX-License-Identifier: GPL-2.0-or-later
"""What roots on block devices are made of: libraries of programs, scripts of the initramfs, images of the root."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.images import BootSet, elf, iscsi, rbd, root_image
from harness.images.ext4 import MIB, make_image
from harness.images.parts import add_scripts
from tests.images.samples import module_tree

RELEASE = "6.1.0-50-arm64"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root (an image has the owners of its files)")
needs_e2fsprogs = pytest.mark.skipif(shutil.which("debugfs") is None, reason="e2fsprogs is not installed")


@pytest.fixture
def debian(tmp_path: Path) -> BootSet:
    boot, root = tmp_path / "boot", tmp_path / "root"
    modules = root / "usr/lib/modules" / RELEASE
    module_tree(modules)
    (modules / "modules.dep.bin").write_bytes(b"kmod's")
    (root / "lib").symlink_to("usr/lib")
    for name in ("etc", "usr/sbin", "usr/lib/systemd/system"):
        (root / name).mkdir(parents=True)
    (root / "sbin").symlink_to("usr/sbin")
    boot.mkdir()
    return BootSet("debian", "0123", boot, root, RELEASE, ())


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """open-iscsi and its libraries, unpacked, as far as their names go."""
    tree = tmp_path / "parts"
    scripts = "usr/share/initramfs-tools/scripts"
    files = ("sbin/iscsistart", "sbin/iscsid", "sbin/iscsiadm", "lib/ld-linux-aarch64.so.1", "etc/iscsi/iscsid.conf")
    units = ("lib/open-iscsi/startup-checks.sh", *(f"lib/systemd/system/{unit}" for unit in iscsi._UNITS))
    for name in (*files, *units, f"{scripts}/local-top/iscsi", f"{scripts}/local-bottom/iscsi"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    return tree


def test_the_libraries_of_a_program_are_found_through_each_other(tmp_path: Path) -> None:
    """With this machine's own: the layout is that of every 64-bit ELF file."""
    program = Path("/bin/sh").resolve()
    wanted = elf.needed(program.read_bytes())
    assert any(name.startswith("libc.so") for name in wanted)
    folder = tmp_path / "usr/lib/aarch64-linux-gnu"
    folder.mkdir(parents=True)
    with pytest.raises(InfraError, match=re.escape(f"sh needs {wanted[-1]}").replace("sh", r"\w+", 1)):
        elf.closure([program], tmp_path)
    for name in ("libc.so.6", "ld-linux-x86-64.so.2", *wanted):
        found = next(iter(sorted(Path("/lib").glob(f"*/{name}"))), None) or Path("/lib64") / name
        if found.exists():
            shutil.copy(found, folder / name)
    assert set(wanted) <= set(elf.closure([program], tmp_path))


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF\x02\x01", b"\x7fELF\x02\x01" + b"\xff" * 100])
def test_what_is_no_program_needs_nothing(data: bytes) -> None:
    assert elf.needed(data) == []


@pytest.mark.parametrize("script", [rbd.SCRIPT, iscsi.UDEVADM, iscsi.START_ISCSID])
def test_the_scripts_are_sound_shell(script: str) -> None:
    subprocess.run(["sh", "-n"], input=script.encode(), check=True)


def test_a_script_stands_in_the_list_of_its_stage(tmp_path: Path) -> None:
    add_scripts(tmp_path, {"local-top/iscsi": "#!/bin/sh\n", "rbd": "mountroot() { :; }\n"})
    assert (tmp_path / "scripts/local-top/ORDER").read_text().startswith('/scripts/local-top/iscsi "$@"\n')
    assert os.access(tmp_path / "scripts/local-top/iscsi", os.X_OK)
    assert (tmp_path / "scripts/rbd").exists()
    assert not (tmp_path / "scripts/ORDER").exists()


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("10.0.0.3:pi:KEY==:rbd:root", "10.0.0.3|pi|KEY==|rbd|root||"),
        ("10.0.0.3,10.0.0.4:pi:KEY==:rbd:root@snap:1:noatime", "10.0.0.3,10.0.0.4|pi|KEY==|rbd|root@snap|1|noatime"),
    ],
)
def test_the_words_of_rbdroot(word: str, told: str, tmp_path: Path) -> None:
    """The script itself, run as far as its words: what it would do then is cut off."""
    begin = rbd.SCRIPT.replace("$(cat /proc/cmdline)", f"quiet rbdroot={word} rw")
    begin = begin[: begin.index('\tif [ -z "$image" ]')]
    end = '\techo "$mons|$user|$key|$pool|$image|$partition|$options"\n}\nmountroot\n'
    done = subprocess.run(["sh"], input=begin + end, capture_output=True, text=True, check=True)
    assert done.stdout == f"{told}\n"


def test_debians_initramfs_gets_what_it_lacks_where_its_links_lead(
    debian: BootSet, parts: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    (work / "usr/bin").mkdir(parents=True)
    names = ("nfsv3",)  # of those that the little tree has
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(iscsi, "MODULES", names)
        patch.setattr("harness.images.modules.LIGHT_BOOT", ())
        iscsi._complete(debian, work, parts)
    assert (work / "usr/sbin/iscsistart").read_text() == "sbin/iscsistart"
    assert (work / "usr/lib/ld-linux-aarch64.so.1").exists()
    assert (work / f"usr/lib/modules/{RELEASE}/modules.dep.bin").read_bytes() == b"kmod's"
    assert list((work / f"usr/lib/modules/{RELEASE}").rglob("nfsv3.ko"))
    assert not (work / "lib").exists(), "it would take the place of a link"
    assert not (work / "usr/bin/udevadm").exists(), "Debian's initramfs has its own"


def test_iscsid_is_enabled_in_debians_root_without_touching_its_own_libraries(debian: BootSet, parts: Path) -> None:
    (debian.root / "usr/lib/ld-linux-aarch64.so.1").write_text("its own")
    iscsi._complete_root(debian, debian.root, parts)
    assert (debian.root / "usr/sbin/iscsid").exists()
    assert (debian.root / "usr/lib/ld-linux-aarch64.so.1").read_text() == "its own"
    wanted = debian.root / "etc/systemd/system/sysinit.target.wants"
    assert {path.name for path in wanted.iterdir()} == {"iscsid.service", "open-iscsi.service"}


@needs_root
@needs_e2fsprogs
def test_an_image_is_made_once_for_a_boot_set_and_what_is_added(debian: BootSet, tmp_path: Path) -> None:
    made: list[Path] = []

    def more(_images: BootSet, root: Path) -> None:
        made.append(root)
        (root / "etc/added").write_text("more\n")

    def image(**options: object) -> Path:
        return root_image.root_image(debian, "iscsi", more, ("iscsi.py",), cache=tmp_path / "cache", **options)  # type: ignore[arg-type]

    first = image()
    assert image() == first
    assert len(made) == 1
    assert not (debian.root / "etc/added").exists(), "the boot set itself is never written to"
    said = subprocess.run(["debugfs", "-R", "cat etc/added", first], capture_output=True, text=True, check=True)
    assert said.stdout == "more\n"
    assert list(first.parent.glob(".build-*")) == []
    plain = root_image.root_image(debian, "rbd", None, (), cache=tmp_path / "cache")
    assert plain != first


@needs_root
@needs_e2fsprogs
def test_an_image_has_room_and_the_owners_of_its_files(tmp_path: Path) -> None:
    root, image = tmp_path / "root", tmp_path / "image"
    root.mkdir()
    (root / "theirs").write_text("x")
    os.chown(root / "theirs", 1000, 1001)
    make_image(root, image)
    assert image.stat().st_size >= 64 * MIB
    assert image.stat().st_blocks * 512 < 16 * MIB, "it has holes"
    said = subprocess.run(["debugfs", "-R", "stat theirs", image], capture_output=True, text=True, check=True).stdout
    assert re.search(r"User:\s+1000\s+Group:\s+1001", said)
    subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=True)
