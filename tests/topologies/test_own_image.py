# SPDX-License-Identifier: GPL-2.0-or-later
"""The user's own image: one that is laid out like Raspberry Pi OS, with the light root in it, boots to login by network."""

import json
import lzma
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from harness.config import loads
from harness.images import boot_set
from harness.images.own.make import own_set
from harness.images.tools import run
from harness.lab import Lab, booting
from harness.result import Boot
from harness.run import Run
from tests.images import cards
from tests.topologies.labs import Pi, lab_text, skip_without

pytestmark = [pytest.mark.netns, pytest.mark.qemu]

PI = Pi("pi4-a", "pi4")
#: As in Raspberry Pi OS 12 (bookworm), less what an image made by hand cannot have.
CONFIG = "# For more options see http://rptl.io/configtxt\ndtparam=audio=on\nauto_initramfs=1\narm_64bit=1\n\n[cm5]\ndtoverlay=dwc2,dr_mode=host\n\n[all]\n"
CMDLINE = (
    f"console=serial0,115200 console=tty1 root=PARTUUID={cards.DISK_ID}-02 rootfstype=ext4 fsck.repair=yes rootwait quiet "
    "init=/usr/lib/raspberrypi-sys-mods/firstboot\n"
)
FSTAB = (
    "proc            /proc           proc    defaults          0       0\n"
    f"PARTUUID={cards.DISK_ID}-01  /boot/firmware  vfat    defaults          0       2\n"
    f"PARTUUID={cards.DISK_ID}-02  /               ext4    defaults,noatime  0       1\n"
)
BOOT = (
    *("start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb", "kernel8.img", "initramfs8", "overlays"),
    *("bootcode.bin", "start.elf", "fixup.dat", "bcm2710-rpi-3-b-plus.dtb"),
)


def make_image(folder: Path, *, without: Sequence[str] = ()) -> Path:
    """An image of a card as raspberrypi.com hands them out: a FAT and an ext4 partition. without: modules that its root lacks."""
    light = boot_set("light")
    boot, root = folder / "boot", folder / "root"
    boot.mkdir()
    for name in BOOT:
        run(["cp", "--archive", light.boot / name, boot / name], "boot files", deadline=60)
    (boot / "config.txt").write_text(CONFIG)
    (boot / "cmdline.txt").write_text(CMDLINE)
    run(["cp", "--archive", light.root, root], "root", deadline=60)
    (root / "boot/firmware").mkdir()
    (root / "etc/fstab").write_text(FSTAB)
    (root / "etc/issue.net").write_text("the user's own\n")
    for name in without:
        next((root / "lib/modules").rglob(f"{name}.ko")).unlink()
    size = 80 * cards.MIB
    parts = [("c", cards.fat(boot, folder / "fat", size)), ("83", cards.ext4(root, folder / "ext4", size))]
    made = cards.card(folder / "own.img", parts)
    shutil.rmtree(root)
    return made


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    skip_without("dnsmasq-nfs")
    if not cards.have(*cards.TOOLS):
        pytest.skip("not installed: fdisk, dosfstools, mtools, e2fsprogs or fuse2fs")
    return make_image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def pi_only(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose kernel has no driver for the network card of QEMU's `virt`, as that of Raspberry Pi OS."""
    return make_image(tmp_path_factory.mktemp("pi-only"), without=("virtio_net",))


BootImage = Callable[..., Boot]


@pytest.fixture
def boot_image(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> BootImage:
    """boot_image(image, "dnsmasq-nfs", look=...): its boot; look at the running lab when it passed. Images are kept in a cache of
    this module's own."""
    kept = tmp_path_factory.getbasetemp() / "kept"
    monkeypatch.setattr(booting, "own_set", partial(own_set, folder=kept))

    def booted(
        image: Path,
        topology: str,
        *,
        look: Callable[[Lab, list[str]], None] | None = None,
        board: Pi = PI,
        until: str = "login",
    ) -> Boot:
        skip_without(topology)
        text = lab_text(topology, board).replace("root: light", f"image: {image}")
        lines: list[str] = []
        with Lab(loads(text), Run.create(tmp_path / "reports", lab="own"), progress=lines.append) as lab:
            boot = lab.board(board.name).boot(until)
            if boot.passed and look is not None:
                look(lab, lines)
        return boot

    return booted


def test_an_image_boots_to_login_and_is_laid_out_once(image: Path, boot_image: BootImage) -> None:
    def look(lab: Lab, lines: list[str]) -> None:
        shell = lab.board(PI.name).shell
        assert shell.run("cat /etc/issue.net").output.strip() == "the user's own"
        assert shell.run("cat /etc/fstab").output.split() == ["proc", "/proc", "proc", "defaults", "0", "0"]
        told.append(any("copying its root" in line for line in lines))

    told: list[bool] = []
    for _ in range(2):
        boot = boot_image(image, "dnsmasq-nfs", look=look)
        assert boot.passed, boot.record.verdict
    assert told == [True, False]
    said = json.loads((boot.folder / "image.json").read_text())
    assert boot.record.kernel is not None
    assert said["kernels"] == [{"file": "kernel8.img", "release": boot.record.kernel.release}]
    assert "cmdline.txt: quiet was left out: the boot is followed on the console" in said["changes"]
    assert f"fstab: PARTUUID={cards.DISK_ID}-02 on / (ext4) was left out: there is no card" in said["changes"]


def test_a_packed_image_mounts_its_boot_folder_from_the_server(
    image: Path, tmp_path: Path, boot_image: BootImage
) -> None:
    def look(lab: Lab, _lines: list[str]) -> None:
        shell = lab.board(PI.name).shell
        source = shell.run("findmnt -no SOURCE /boot/firmware").output.strip()
        assert source == f"10.77.0.2:/srv/tftp/{PI.serial}"
        assert "auto_initramfs=1" in shell.run("cat /boot/firmware/config.txt").output

    packed = tmp_path / "own.img.xz"
    with image.open("rb") as file, lzma.open(packed, "wb", preset=0) as to:
        shutil.copyfileobj(file, to)
    boot = boot_image(packed, "openwrt-43-66", look=look)
    assert boot.passed, boot.record.verdict


def test_a_kernel_for_pis_alone_is_not_booted_in_a_machine_that_is_none(pi_only: Path, boot_image: BootImage) -> None:
    boot = boot_image(pi_only, "dnsmasq-nfs")
    assert boot.record.verdict == "config"
    finding = boot.record.findings[0]
    assert (
        "cannot use the network card of QEMU's virt, the machine of board pi4-a: neither it nor its modules have virtio_net"
        in finding.title
    )
    assert "boards.pi4-a.emulation.machine: raspi4b" in finding.remedy
    assert boot_image(pi_only, "dnsmasq-nfs", until="firmware").passed


@pytest.mark.slow
def test_a_kernel_for_pis_alone_boots_in_qemus_own_pi(pi_only: Path, boot_image: BootImage) -> None:
    board = Pi(
        "pi3bplus-a", "pi3bplus", 0, {"emulation": "{machine: raspi3b, memory: 1024}", "budgets": "{userspace: 300}"}
    )
    boot = boot_image(pi_only, "dnsmasq-nfs", board=board)
    assert boot.passed, boot.record.verdict
    assert boot.record.machine is not None
    assert boot.record.machine["machine"] == "raspi3b"


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["dnsmasq-iscsi", "ceph-rbd"])
def test_an_image_boots_from_a_disk_of_its_own(topology: str, image: Path, boot_image: BootImage) -> None:
    def look(lab: Lab, _lines: list[str]) -> None:
        shell = lab.board(PI.name).shell
        assert shell.run("cat /etc/issue.net").output.strip() == "the user's own"
        assert shell.run("findmnt -no FSTYPE /").output.strip() == "ext4"

    boot = boot_image(image, topology, look=look)
    assert boot.passed, boot.record.verdict
    changes = json.loads((boot.folder / "image.json").read_text())["changes"]
    assert any(line.startswith("initramfs8: ") for line in changes)
    assert not any("***" not in line and ("iscsi_password=" in line or "rbdroot=" in line) for line in changes)
