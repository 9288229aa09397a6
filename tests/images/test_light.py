# SPDX-License-Identifier: GPL-2.0-or-later
"""What is laid out by hand: the boot partition's names, the light root, the light initramfs, the clean Debian identity."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.images import cached, debian_root, firmware, light_initramfs, light_root
from harness.images.binfmt import run_arm64
from harness.images.initramfs import LINK_UP
from harness.images.modules import ModuleTree
from tests.images.samples import module_tree

APPLETS = ["bin/busybox", "bin/cat", "bin/findmnt", "sbin/getty", "usr/bin/awk", "bin/run-init"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root (it gives files to other users)")


def packages(tmp_path: Path) -> tuple[Path, Path]:
    elf = tmp_path / "firmware/usr/lib/raspi-firmware"
    elf.mkdir(parents=True)
    for name in ("start4.elf", "fixup4.dat", "start.elf", "fixup.dat", "bootcode.bin", "start4x.elf", "notes.txt"):
        (elf / name).write_text(name)
    dtbs = tmp_path / "kernel/usr/lib/linux-image-6.1.0-50-arm64/broadcom"
    dtbs.mkdir(parents=True)
    for name in ("bcm2711-rpi-4-b.dtb", "bcm2837-rpi-3-b-plus.dtb", "bcm2837-rpi-3-b.dtb", "bcm2835-rpi.dtb"):
        (dtbs / name).write_text(name)
    (tmp_path / "kernel/boot").mkdir()
    (tmp_path / "kernel/boot/vmlinuz-6.1.0-50-arm64").write_text("Image")
    return tmp_path / "firmware", tmp_path / "kernel"


def test_the_boot_partition_has_the_names_that_a_pi_asks_for(tmp_path: Path) -> None:
    boot = tmp_path / "boot"
    assert firmware.make_boot(*packages(tmp_path), boot) == "6.1.0-50-arm64"
    assert sorted(str(path.relative_to(boot)) for path in boot.rglob("*")) == [
        "bcm2710-rpi-3-b-plus.dtb",
        "bcm2710-rpi-3-b.dtb",
        "bcm2711-rpi-4-b.dtb",
        "bootcode.bin",
        "fixup.dat",
        "fixup4.dat",
        "kernel8.img",
        "overlays",
        "overlays/disable-bt.dtbo",
        "start.elf",
        "start4.elf",
        "start4x.elf",
    ]
    assert (boot / "kernel8.img").read_text() == "Image"
    assert (boot / "bcm2710-rpi-3-b.dtb").read_text() == "bcm2837-rpi-3-b.dtb"


def test_a_package_without_what_a_pi_needs_is_an_error(tmp_path: Path) -> None:
    brought, kernel = packages(tmp_path)
    (brought / "usr/lib/raspi-firmware/start4.elf").unlink()
    with pytest.raises(InfraError, match=r"did not bring start4\.elf"):
        firmware.make_boot(brought, kernel, tmp_path / "boot")


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """initramfs-tools-core, klibc and busybox, unpacked, as far as their names go."""
    root = tmp_path / "parts"
    for name in ("bin/busybox", "usr/lib/klibc/bin/ipconfig", "usr/lib/klibc/bin/cat", "usr/lib/klibc/bin/kinit"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "lib").mkdir()
    (root / "lib/klibc-abc.so").write_text("klibc")
    scripts = root / "usr/share/initramfs-tools/scripts"
    scripts.mkdir(parents=True)
    for name in ("functions", "local", "nfs", "../init"):
        (scripts / name).write_text(f"# {name}\n")
    return root


def test_the_light_initramfs_is_debians_scripts_with_klibcs_tools(parts: Path, tmp_path: Path) -> None:
    tree = ModuleTree(module_tree(tmp_path / "6.1"))
    work = tmp_path / "work"
    names = [applet.rsplit("/", 1)[-1] for applet in APPLETS]
    data = light_initramfs.make(parts, names, tree, "6.1", work, ["virtio_net", "nfsv3"])
    assert data[:6] == b"070701"
    assert (work / "init").read_text() == "# ../init\n"
    assert os.access(work / "init", os.X_OK)
    assert (work / "scripts/nfs").read_text() == "# nfs\n"
    assert (work / "bin/ipconfig").read_text() == "usr/lib/klibc/bin/ipconfig"
    assert (work / "bin/cat").readlink() == Path("busybox")  # as klibc's hook: busybox' own comes first
    assert not (work / "bin/kinit").exists()
    assert (work / "lib/klibc-abc.so").exists()
    assert (work / "conf/modules").read_text() == "virtio_net\nnfsv3\n"
    assert (work / "run").is_dir()  # ipconfig writes /run/net-*.conf before anyone makes it
    assert "kernel/fs/nfs/nfs.ko" in (work / "lib/modules/6.1/modules.dep").read_text()
    for stage, name in (("init-premount", "link"), ("init-bottom", "dev")):
        assert (work / f"scripts/{stage}/ORDER").read_text() == f'/scripts/{stage}/{name} "$@"\n'
        assert os.access(work / f"scripts/{stage}/{name}", os.X_OK)


@pytest.mark.parametrize("script", [LINK_UP, light_initramfs.MOVE_DEV, light_root.RC, light_root.FINDMNT])
def test_the_scripts_are_sound_shell(script: str) -> None:
    subprocess.run(["sh", "-n"], input=script.encode(), check=True)


@needs_root
def test_the_light_root_has_a_getty_and_users_without_passwords(tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_text("busybox")
    root = tmp_path / "root"
    light_root.make(root, busybox, APPLETS)
    assert "ttyAMA0::respawn:/sbin/getty" in (root / "etc/inittab").read_text()
    assert (root / "etc/shadow").read_text().startswith("root::")
    assert (root / "etc/shadow").stat().st_mode & 0o777 == 0o640
    assert (root / "etc/hostname").read_text() == "pi\n"
    assert (root / "sbin/getty").readlink() == Path("/bin/busybox")
    assert (root / "bin/busybox").read_text() == "busybox"  # not a link to itself
    assert os.access(root / "etc/init.d/rcS", os.X_OK)
    assert (root / "home/pi").stat().st_uid == 1000
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["-n", "-o", "TARGET,FSTYPE", "/proc"], "/proc proc\n"),
        (["-no", "FSTYPE", "/proc"], "proc\n"),
        (["-o", "FSTYPE", "/proc"], "FSTYPE\nproc\n"),
    ],
)
def test_findmnt_answers_as_util_linux_does(tmp_path: Path, arguments: list[str], answer: str) -> None:
    script = tmp_path / "findmnt"
    script.write_text(light_root.FINDMNT)
    done = subprocess.run(["sh", str(script), *arguments], capture_output=True, text=True, check=True)
    assert done.stdout == answer


def test_findmnt_fails_for_what_is_not_mounted(tmp_path: Path) -> None:
    script = tmp_path / "findmnt"
    script.write_text(light_root.FINDMNT)
    done = subprocess.run(["sh", str(script), "-n", str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")


def test_the_debian_root_gets_a_clean_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []
    monkeypatch.setattr(debian_root, "in_root", lambda _root, script, _what, **_options: said.append(script))
    (tmp_path / "etc/initramfs-tools").mkdir(parents=True)
    (tmp_path / "etc/machine-id").write_text("uninitialized\n")
    (tmp_path / "etc/resolv.conf").symlink_to("/run/elsewhere")
    debian_root.configure(tmp_path)
    assert (
        tmp_path / "etc/machine-id"
    ).read_text() == ""  # there, but empty: a new one at each boot, and no first-boot questions
    assert not (tmp_path / "etc/resolv.conf").is_symlink()
    assert " / " not in (tmp_path / "etc/fstab").read_text()
    assert "passwd -q -d root" in said[0]
    assert os.access(tmp_path / "etc/initramfs-tools/scripts/init-premount/link", os.X_OK)


def test_packages_are_those_that_dpkg_has_installed(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(
        "Package: udev\nStatus: install ok installed\nVersion: 252\nDescription: x\n more: y\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
        "Package: apt\nStatus: install ok installed\nVersion: 2:6\n"
    )
    assert debian_root.packages(tmp_path) == ["apt=2:6", "udev=252"]


@needs_root
@pytest.mark.qemu
def test_arm64_programs_run_in_a_chroot() -> None:
    images = cached("light")
    interpreter = shutil.which("qemu-aarch64-static")
    if images is None or interpreter is None:
        pytest.skip("needs the cached light set and qemu-aarch64-static")
    said = run_arm64(["chroot", images.root, "/bin/uname", "-m"], "asking uname", interpreter=interpreter, deadline=60)
    assert said == "aarch64\n"


@needs_root
@pytest.mark.qemu
@pytest.mark.timeout(120)
def test_a_command_that_ends_takes_no_other_commands_emulation_away(tmp_path: Path) -> None:
    images = cached("light")
    interpreter = shutil.which("qemu-aarch64-static")
    if images is None or interpreter is None:
        pytest.skip("needs the cached light set and qemu-aarch64-static")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = 'read line < "$2"; exec chroot "$1" /bin/uname -m'  # starts arm64 code when the other command is over
    first = ["sh", "-c", script, "sh", images.root, pipe]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(run_arm64, first, "waiting", interpreter=interpreter, deadline=60)
        try:
            with pipe.open("w") as write:  # opens when the first has begun to read
                run_arm64(["true"], "ending", interpreter=interpreter, deadline=60)
                write.write("go on\n")
        finally:
            assert waiting.result(timeout=60) == "aarch64\n"
