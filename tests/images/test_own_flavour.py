# SPDX-License-Identifier: GPL-2.0-or-later
"""What is added behind the initramfs of the user's own image."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.images import BootSet, cpio
from harness.images.own.flavour import with_initramfs
from harness.images.own.kernels import Fit, Kernel
from harness.images.own.make import Own
from harness.images.own.system import System
from tests.images.samples import module_tree
from tests.images.test_flavours import unpacked

RELEASE = "6.12.47+rpt-rpi-v8"
KERNEL = Kernel("kernel8.img", RELEASE, "initramfs8")
MODULES = f"usr/lib/modules/{RELEASE}"


@pytest.fixture
def images(tmp_path: Path) -> BootSet:
    boot, root, work = tmp_path / "boot", tmp_path / "root", tmp_path / "work"
    tree = module_tree(root / MODULES)
    with (tree / "modules.builtin").open("a") as file:
        file.write("kernel/fs/nfs/nfsv4.ko\n")
    (tree / "modules.dep.bin").write_bytes(b"kmod's")
    (root / "lib").symlink_to("usr/lib")
    (work / "usr/bin").mkdir(parents=True)
    boot.mkdir()
    for name in ("initramfs8", "initramfs_2712"):
        (boot / name).write_bytes(cpio.archive(work))
    return BootSet("image", "0123", boot, root, RELEASE, ())


def own(*kernels: Kernel, config: str = "auto_initramfs=1\n") -> Own:
    system = System("Raspberry Pi OS", "arm64", ("pi",), ())
    return Own(Path("own.img"), "00", {"cmdline.txt": "root=x"}, config, "", kernels, system)


def completed(images: BootSet, image: Own, wanted: str, *, machine: str = "virt") -> tuple[dict[str, Path], list[str]]:
    cache = images.boot.parent / "cache"
    made, changes = with_initramfs(images, image, wanted, machines=[machine], used=image.kernels, cache=cache)
    assert made.own is not None
    assert made.initramfs is None
    return dict(made.own.initramfs), changes


def test_an_image_that_lacks_nothing_stays_as_it_is(images: BootSet) -> None:
    assert completed(images, own(KERNEL), "nfs") == ({}, [])
    # What the kernel loads is not asked for where nothing is to be added.
    assert completed(images, own(replace(KERNEL, initramfs=""), config=""), "nfs") == ({}, [])


def test_the_machines_drivers_are_the_images_own(images: BootSet) -> None:
    image = own(replace(KERNEL, virt=Fit(adds=("virtio_net",))))
    made, (change,) = completed(images, image, "nfs")
    assert change == "initramfs8: virtio_net of the image's own modules added, for the emulated machine"
    data = made["initramfs8"].read_bytes()
    assert data.startswith((images.boot / "initramfs8").read_bytes())
    files = unpacked(data)
    assert files[f"{MODULES}/modules.dep.bin"] == b"kmod's"
    assert {f"{MODULES}/kernel/drivers/net/{name}.ko" for name in ("virtio_net", "net_failover")} <= set(files)
    assert completed(images, image, "nfs", machine="raspi3b") == ({}, [])


def test_each_kernel_that_boots_has_its_own(images: BootSet) -> None:
    other = replace(KERNEL, file="kernel_2712.img", initramfs="initramfs_2712")
    made, changes = completed(images, own(KERNEL, other, replace(KERNEL, file="vmlinuz")), "nfs4")
    assert set(made) == {"initramfs8", "initramfs_2712"}
    assert len(set(made.values())) == len(changes) == 2
    assert all("usr/bin/nfsmount" in unpacked(path.read_bytes()) for path in made.values())


def test_a_root_that_only_an_initramfs_can_mount_needs_one(images: BootSet) -> None:
    with pytest.raises(ConfigError, match=r"config.txt loads no initramfs") as raised:
        completed(images, own(KERNEL, config="# auto_initramfs=1\n"), "rbd")
    assert "auto_initramfs=1" in raised.value.remedy


def test_a_kernel_without_the_module_is_told(images: BootSet) -> None:
    with pytest.raises(
        ConfigError, match=rf"kernel {RELEASE.replace('+', '.')} cannot mount this root: .*no module"
    ) as raised:
        completed(images, own(KERNEL), "rbd")
    assert raised.value.place == "own.img"
    assert "topology with an NFS root" in raised.value.remedy
