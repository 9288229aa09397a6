# SPDX-License-Identifier: GPL-2.0-or-later
"""An image's kernels and initramfs, as far as files tell: releases, drivers, what a board would take."""

import gzip
import lzma
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.images import cpio
from harness.images.own import initramfs
from harness.images.own.kernels import VIRT, Fit, Kernel, chosen, find, refuse, release

RELEASE = "6.12.47+rpt-rpi-v8"
IMAGE = b"\0" * 64 + b"Linux version 6.12.47+rpt-rpi-v8 (serge@raspberrypi.com) (gcc-14) #1 SMP PREEMPT" + b"\0" * 64


def archive(folder: Path, files: Sequence[str]) -> bytes:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return cpio.archive(folder)


def kernel_of(tmp_path: Path, builtin: Sequence[str], modules: Sequence[str], held: Sequence[str] | None) -> Kernel:
    boot, tree = tmp_path / "boot", tmp_path / "root/usr/lib/modules" / RELEASE
    boot.mkdir()
    (tree / "kernel").mkdir(parents=True)
    (tree / "modules.builtin").write_text("".join(f"kernel/{name}.ko\n" for name in builtin))
    for name in modules:
        (tree / f"kernel/{name}.ko.xz").write_bytes(b"")
    (boot / "kernel8.img").write_bytes(gzip.compress(IMAGE))
    if held is not None:
        (boot / "initramfs8").write_bytes(archive(tmp_path / "work", held))
    (found,) = find(boot, tmp_path / "root")
    assert (found.file, found.release) == ("kernel8.img", RELEASE)
    return found


@pytest.mark.parametrize("data", [IMAGE, gzip.compress(IMAGE)], ids=["plain", "gzip"])
def test_a_kernels_release_is_read(data: bytes) -> None:
    assert release(data) == RELEASE


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08broken", b"Linux version "])
def test_what_is_no_kernel_has_no_release(data: bytes) -> None:
    assert release(data) == ""


def test_drivers_that_are_built_in_are_enough(tmp_path: Path) -> None:
    found = kernel_of(tmp_path, [name.replace("_", "-") for name in VIRT], [], None)
    assert (found.virt, found.initramfs) == (Fit(), "")


def test_a_kernel_for_raspberry_pis_alone_is_refused_in_words(tmp_path: Path) -> None:
    found = kernel_of(tmp_path, ["bcmgenet"], ["cdc_ether"], ["init"])
    assert found.virt.lacks == "neither it nor its modules have pci_host_generic, virtio_pci, virtio_net"
    assert found.fit("raspi3b") == Fit(adds=("cdc_ether",))
    error = refuse(tmp_path / "own.img", found, "pi4-a", "pi4", "virt")
    assert (
        f"kernel {RELEASE} (kernel8.img) cannot use the network card of QEMU's virt, the machine of board pi4-a"
        in error.what
    )
    assert "boards.pi4-a.emulation.machine: raspi4b" in error.remedy
    assert "raspi3b" in refuse(tmp_path / "own.img", found, "pi5-a", "pi5", "virt").remedy


def test_modules_that_the_initramfs_lacks_are_to_be_added(tmp_path: Path) -> None:
    found = kernel_of(tmp_path, ["pci-host-generic"], ["virtio_net", "virtio_pci"], ["usr/lib/virtio_pci.ko"])
    assert found.virt == Fit(adds=("virtio_net",))
    assert found.initramfs == "initramfs8"


def test_modules_without_an_initramfs_are_of_no_use(tmp_path: Path) -> None:
    found = kernel_of(tmp_path, ["pci-host-generic"], ["virtio_net", "virtio_pci"], None)
    assert "no initramfs is there to load it" in found.virt.lacks


@pytest.mark.parametrize(
    ("builtin", "modules", "held", "fit"),
    [
        (["cdc_ether"], ["rndis_host"], None, Fit()),
        ([], ["cdc_ether", "rndis_host"], ["usr/cdc_ether.ko", "usr/rndis_host.ko.xz"], Fit()),
        ([], ["rndis_host"], ["init"], Fit(adds=("rndis_host",))),
        ([], ["rndis_host"], None, Fit("rndis_host is a module, and no initramfs is there to load it")),
        ([], [], ["init"], Fit("neither it nor its modules have cdc_ether or rndis_host")),
    ],
)
def test_a_usb_card_is_driven_by_either_of_two(
    builtin: list[str], modules: list[str], held: list[str] | None, fit: Fit, tmp_path: Path
) -> None:
    found = kernel_of(tmp_path, builtin, modules, held)
    assert found.fit("raspi4b") == fit
    assert "cdc_ether" not in refuse(tmp_path, found, "a", "pi4", "raspi4b").remedy


@pytest.mark.parametrize(("folder", "merged"), [("bin/sh", False), ("usr/bin/sh", True)])
def test_an_initramfs_of_either_layout(folder: str, merged: bool, tmp_path: Path) -> None:
    found = kernel_of(tmp_path, list(VIRT), [], [folder, "scripts/rbd"])
    assert (found.merged, found.scripts) == (merged, ("scripts/rbd",))


def test_a_kernel_without_its_modules_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "boot/kernel_2712.img").write_bytes(IMAGE)
    (found,) = find(tmp_path / "boot", tmp_path / "root")
    assert (found.file, found.virt, found.usb) == ("kernel_2712.img", Fit(), Fit())


def test_modules_are_looked_for_in_the_image_only(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "elsewhere" / RELEASE).mkdir(parents=True)
    (tmp_path / "root/lib").mkdir(parents=True)
    (tmp_path / "root/lib/modules").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "boot/kernel8.img").write_bytes(IMAGE)
    (found,) = find(tmp_path / "boot", tmp_path / "root")
    assert (found.virt, found.usb) == (Fit(), Fit())


def test_the_kernel_that_a_board_takes() -> None:
    kernels = tuple(Kernel(name, name) for name in ("kernel8.img", "kernel_2712.img", "current/vmlinuz"))
    taken = [
        chosen(kernels, config, names)
        for config, names in (
            ({}, ("kernel_2712.img", "kernel8.img")),
            ({}, ("kernel8.img",)),
            ({"kernel": "vmlinuz", "os_prefix": "current/"}, ("kernel8.img",)),
            ({"kernel": "gone.img"}, ("kernel8.img",)),
        )
    ]
    assert [kernel.file if kernel else "" for kernel in taken] == [
        "kernel_2712.img",
        "kernel8.img",
        "current/vmlinuz",
        "",
    ]


def test_names_of_an_initramfs_however_it_is_packed(tmp_path: Path) -> None:
    early = archive(tmp_path / "early", ["kernel/x86/microcode"])
    main = archive(tmp_path / "main", ["init", "usr/lib/modules/a.ko"])
    path = tmp_path / "initramfs8"
    for packed in (main, gzip.compress(main), lzma.compress(main), lzma.compress(main, lzma.FORMAT_ALONE)):
        path.write_bytes(early + bytes(512) + packed)
        found = initramfs.names(path)
        assert {"kernel/x86/microcode", "init", "usr/lib/modules/a.ko"} <= set(found)
        assert stat.S_ISDIR(found["usr"])


@pytest.mark.gear
@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_names_of_an_initramfs_as_debian_packs_it(tmp_path: Path) -> None:
    packed = subprocess.run(["zstd", "-c"], input=archive(tmp_path / "main", ["init"]), capture_output=True, check=True)
    path = tmp_path / "initramfs8"
    path.write_bytes(packed.stdout)
    assert "init" in initramfs.names(path)
    path.write_bytes(packed.stdout[:-20])
    with pytest.raises(ConfigError, match="initramfs cannot be read"):
        initramfs.names(path)


@pytest.mark.parametrize(
    "data",
    [b"no archive at all", b"\x1f\x8b\x08broken", b"070701" + b"z" * 200, gzip.compress(b"text")],
    ids=[
        "text",
        "broken gzip",
        "broken cpio",
        "gzip of text",
    ],  # gzip holds the time: workers must name the tests alike
)
def test_an_initramfs_that_cannot_be_read_is_an_error(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "initramfs8"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="initramfs cannot be read") as raised:
        initramfs.names(path)
    assert raised.value.remedy
