# SPDX-License-Identifier: GPL-2.0-or-later
"""An image's kernels: which releases they are, and whether they find the emulated machine's network card.

The kernel that boots is always the image's own. QEMU's `virt` has its network card on PCI, by virtio; a kernel built for
Raspberry Pis alone (bcm2711_defconfig) has neither driver, and its boot would fail for a reason that no board has.
"""

import re
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError
from harness.images.modules import ModuleTree, canonical
from harness.images.own import initramfs

#: Of QEMU's machine `virt` with a virtio-net-pci card.
VIRT = ("pci_host_generic", "virtio_pci", "virtio_net")
#: Of QEMU's USB card: it speaks both.
USB = ("cdc_ether", "rndis_host")
#: Of an initramfs, what mounts a root on a block device.
SCRIPTS = ("scripts/local-top/iscsi", "scripts/rbd")
_FILES = re.compile(r"kernel\w*\.img|vmlinuz\S*")
_RELEASE = re.compile(rb"Linux version (\S{1,100}) \(")
_LARGEST = 256 << 20


@dataclass(frozen=True)
class Fit:
    """How a kernel gets on with a machine's network card. lacks: what it would need and does not have, in words; "" for nothing,
    or when it cannot be told. adds: the modules for it that the image has, but the kernel's initramfs does not."""

    lacks: str = ""
    adds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kernel:
    """file: its path in the boot partition. release: "" when it cannot be told. initramfs: the path of what goes with it, "" for
    none. virt, usb: how it fits QEMU's `virt`, and QEMU's Pis with their USB card. merged: the initramfs has bin and lib below
    /usr. scripts: those of SCRIPTS that it holds."""

    file: str
    release: str
    initramfs: str = ""
    virt: Fit = Fit()
    usb: Fit = Fit()
    merged: bool = True
    scripts: tuple[str, ...] = ()

    def fit(self, machine: str) -> Fit:
        """For one of QEMU's machines."""
        return self.virt if machine == "virt" else self.usb


def find(boot: Path, root: Path) -> tuple[Kernel, ...]:
    """All kernels of a boot partition, on its top level and one below (os_prefix)."""
    files = sorted(
        path for path in (*boot.glob("*"), *boot.glob("*/*")) if _FILES.fullmatch(path.name) and path.is_file()
    )
    return tuple(_kernel(path, boot, root) for path in files)


def _kernel(path: Path, boot: Path, root: Path) -> Kernel:
    found = release(path.read_bytes())
    file = str(path.relative_to(boot))
    archive = companion(path)
    held = initramfs.names(archive) if archive is not None else {}
    folder = modules_of(root, found)
    tree = ModuleTree(folder) if folder is not None else None
    inside = {canonical(Path(name).name) for name in held if ".ko" in name}
    packed = inside if archive is not None else None
    return Kernel(
        file,
        found,
        str(archive.relative_to(boot)) if archive is not None else "",
        _fit(tree, VIRT, (), packed) if tree is not None else Fit(),
        _fit(tree, (), USB, packed) if tree is not None else Fit(),
        merged=not stat.S_ISDIR(held.get("bin", 0)),
        scripts=tuple(name for name in SCRIPTS if name in held),
    )


def _fit(tree: ModuleTree, every: tuple[str, ...], one: tuple[str, ...], packed: set[str] | None) -> Fit:
    """every: drivers of which each is needed; one: of which one is enough; packed: the initramfs' modules, None without one."""
    absent = [name for name in every if name not in tree.paths and name not in tree.builtin]
    there = [name for name in one if name in tree.paths or name in tree.builtin]
    if absent or (one and not there):
        return Fit(f"neither it nor its modules have {', '.join(absent) or ' or '.join(one)}")
    if one and any(name in tree.builtin for name in one):
        return Fit()
    wanted = tuple(name for name in (*every, *there) if name not in tree.builtin)
    if wanted and packed is None:
        return Fit(f"{', '.join(wanted)} is a module, and no initramfs is there to load it")
    return Fit(adds=tuple(name for name in wanted if name not in (packed or ())))


def release(data: bytes) -> str:
    """What `uname -r` will say, from a kernel's image, packed by gzip or not; "" when it does not say."""
    if data.startswith(b"\x1f\x8b"):
        try:
            data = zlib.decompressobj(31).decompress(data, _LARGEST)
        except zlib.error:
            return ""
    match = _RELEASE.search(data)
    return match[1].decode("ascii", "replace") if match else ""


def modules_of(root: Path, kernel_release: str) -> Path | None:
    """The folder of a release's modules in a root, if it is there."""
    if not kernel_release or "/" in kernel_release:
        return None
    folder = root / "usr/lib/modules" / kernel_release
    if not folder.is_dir():
        folder = root / "lib/modules" / kernel_release
    return folder if folder.is_dir() and folder.resolve().is_relative_to(root.resolve()) else None


def companion(kernel: Path) -> Path | None:
    """The initramfs that goes with a kernel: of the same name by auto_initramfs=1, else initrd.img."""
    match = re.fullmatch(r"kernel(\w*)\.img", kernel.name)
    names = [f"initramfs{match[1]}"] if match else [f"initrd.img{kernel.name.removeprefix('vmlinuz')}", "initrd.img"]
    return next((path for name in names if (path := kernel.with_name(name)).is_file()), None)


def chosen(kernels: tuple[Kernel, ...], config: Mapping[str, str], names: tuple[str, ...]) -> Kernel | None:
    """The kernel that a board takes: kernel= in config.txt, else the first that is there of its model's names."""
    prefix = config.get("os_prefix", "")
    there = {kernel.file: kernel for kernel in kernels}
    wanted = (config["kernel"],) if "kernel" in config else names
    return next((there[path] for name in wanted for path in (prefix + name, name) if path in there), None)


def refuse(image: Path, kernel: Kernel, board: str, model: str, machine: str) -> ConfigError:
    """The error of a board whose kernel cannot use the network card of its machine."""
    other = {"pi3b": "raspi3b", "pi3bplus": "raspi3b", "pi4": "raspi4b"}.get(model)
    if machine != "virt":
        way = "take a kernel with one of them"
    elif other:
        way = f"boot it in QEMU's own Pi: boards.{board}.emulation.machine: {other}"
    else:
        way = f"QEMU has no machine that is a {model}: try the image on a pi3bplus with emulation: {{machine: raspi3b}}"
    what = f"the network card of QEMU's {machine}, the machine of board {board}"
    return ConfigError(
        f"the image's kernel {kernel.release} ({kernel.file}) cannot use {what}: {kernel.fit(machine).lacks}",
        place=str(image),
        remedy=way,
    )
