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
#: Of an initramfs, what mounts a root on a block device.
SCRIPTS = ("scripts/local-top/iscsi", "scripts/rbd")
_FILES = re.compile(r"kernel\w*\.img|vmlinuz\S*")
_RELEASE = re.compile(rb"Linux version (\S{1,100}) \(")
_LARGEST = 256 << 20


@dataclass(frozen=True)
class Kernel:
    """file: its path in the boot partition. release: "" when it cannot be told. initramfs: the path of what goes with it, "" for
    none. lacks: what it would need for `virt` and does not have, in words; "" for nothing, or when it cannot be told. adds: the
    modules for it that the image has, but its initramfs does not. merged: the initramfs has bin and lib below /usr. scripts:
    those of SCRIPTS that it holds."""

    file: str
    release: str
    initramfs: str = ""
    lacks: str = ""
    adds: tuple[str, ...] = ()
    merged: bool = True
    scripts: tuple[str, ...] = ()


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
    tree = modules_of(root, found)
    absent, wanted = _needs(ModuleTree(tree)) if tree is not None else ([], [])
    inside = {canonical(Path(name).name) for name in held if ".ko" in name}
    lacks = ""
    if absent:
        lacks = f"neither it nor its modules have {', '.join(absent)}"
    elif wanted and archive is None:
        lacks = f"{', '.join(wanted)} is a module, and no initramfs is there to load it"
    return Kernel(
        file,
        found,
        str(archive.relative_to(boot)) if archive is not None else "",
        lacks,
        tuple(name for name in wanted if name not in inside) if not lacks else (),
        merged=not stat.S_ISDIR(held.get("bin", 0)),
        scripts=tuple(name for name in SCRIPTS if name in held),
    )


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


def _needs(tree: ModuleTree) -> tuple[list[str], list[str]]:
    """Of what `virt` needs: what there is no driver for, and what is a module."""
    absent = [name for name in VIRT if name not in tree.paths and name not in tree.builtin]
    return absent, [name for name in VIRT if name in tree.paths and name not in tree.builtin]


def chosen(kernels: tuple[Kernel, ...], config: Mapping[str, str], names: tuple[str, ...]) -> Kernel | None:
    """The kernel that a board takes: kernel= in config.txt, else the first that is there of its model's names."""
    prefix = config.get("os_prefix", "")
    there = {kernel.file: kernel for kernel in kernels}
    wanted = (config["kernel"],) if "kernel" in config else names
    return next((there[path] for name in wanted for path in (prefix + name, name) if path in there), None)


def refuse(image: Path, kernel: Kernel, board: str, model: str) -> ConfigError:
    """The error of a board whose kernel cannot use the network card of `virt`."""
    machine = {"pi3b": "raspi3b", "pi3bplus": "raspi3b", "pi4": "raspi4b"}.get(model)
    way = (
        f"boot it in QEMU's own Pi: boards.{board}.emulation.machine: {machine}"
        if machine
        else f"QEMU has no machine that is a {model}: try the image on a pi3bplus with emulation: {{machine: raspi3b}}"
    )
    return ConfigError(
        f"the image's kernel {kernel.release} ({kernel.file}) cannot drive the emulated machine of board {board}: {kernel.lacks}",
        place=str(image),
        remedy=f"{way}",
    )
