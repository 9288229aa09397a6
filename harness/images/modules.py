# SPDX-License-Identifier: GPL-2.0-or-later
"""Trims a kernel's module tree to the modules that a netbooting Pi may need, with all that those depend on.

Debian's arm64 kernel 6.1 brings 350 MB of modules; the wanted ones and their dependencies are about 15 MB, and
mkinitramfs under emulation takes seconds instead of minutes. What a module needs stands in its own ELF section
`.modinfo` (`depends=`, `softdep=`, `alias=`, NUL separated): no depmod is needed on the building machine.

Module names are compared as the kernel does: `-` and `_` are the same.
"""

import lzma
import shutil
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InfraError

INDEX_FILES = ("modules.builtin", "modules.builtin.modinfo", "modules.order")

# What the boot itself needs: QEMU's virtio devices and an NFS v3 root.
LIGHT_BOOT = ("virtio_pci", "virtio_mmio", "virtio_net", "nfsv3")

# What a Pi's root may be asked for: roots by network, the usual file systems, USB network of a Pi 3, and what systemd asks
# for by name (modprobe@.service, autofs4). Several are built into one kernel and modules of another.
WANTED = (
    *LIGHT_BOOT,
    *("virtio_blk", "virtio_scsi", "virtio_console", "virtio_balloon", "virtio_rng"),
    *(
        "nfs",
        "nfsv4",
        "rpcsec_gss_krb5",
        "overlay",
        "ext4",
        "vfat",
        "nls_cp437",
        "nls_ascii",
        "nls_iso8859_1",
        "squashfs",
    ),
    *("iscsi_tcp", "sd_mod", "rbd", "nbd", "nvme_tcp"),
    *(
        "crc32c_generic",
        "libcrc32c",
        "crc32_ce",
        "md5",
        "cmac",
        "gcm",
        "ghash_ce",
        "ghash_generic",
        "ctr",
        "cbc",
        "sha256_arm64",
    ),
    *("dwc2", "xhci_pci", "xhci_plat_hcd", "usbnet", "cdc_ether", "rndis_host", "smsc95xx", "lan78xx", "microchip"),
    *("usb_storage", "uas", "usbhid", "hid_generic"),
    *(
        "genet",
        "mdio_bcm_unimac",
        "broadcom",
        "bcm7xxx",
        "sdhci_iproc",
        "mmc_block",
        "bcm2835_wdt",
        "bcm2835_rng",
        "iproc_rng200",
    ),
    *("raspberrypi_cpufreq", "raspberrypi_hwmon", "bcm2835_thermal"),
    *(
        "autofs4",
        "configfs",
        "fuse",
        "loop",
        "dm_mod",
        "efi_pstore",
        "efivarfs",
        "drm",
        "ip_tables",
        "x_tables",
        "nf_tables",
    ),
    *("tun", "bridge", "8021q", "netconsole", "pkcs8_key_parser", "evdev", "binfmt_misc"),
)


def canonical(name: str) -> str:
    """The kernel's form of a module name: `virtio-rng.ko.xz` → `virtio_rng`."""
    return name.split(".ko", 1)[0].replace("-", "_")


@dataclass(frozen=True)
class Module:
    """One module: `path` relative to the tree's root (`kernel/fs/nfs/nfs.ko`), names in canonical form."""

    name: str
    path: Path
    depends: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


def modinfo(data: bytes) -> list[tuple[str, str]]:
    """The `key=value` pairs of the `.modinfo` section of a 64-bit little-endian ELF object; empty when there is none.

    Layout: System V ABI, ELF-64 object file format (section header table at e_shoff, 64 bytes an entry).
    """
    try:
        if data[:6] != b"\x7fELF\x02\x01":
            return []
        (table,) = struct.unpack_from("<Q", data, 0x28)
        entry, count, names = struct.unpack_from("<HHH", data, 0x3A)
        (strings,) = struct.unpack_from("<Q", data, table + names * entry + 0x18)
        for i in range(count):
            (name,) = struct.unpack_from("<I", data, table + i * entry)
            if data[strings + name : strings + name + 9] == b".modinfo\0":
                offset, size = struct.unpack_from("<QQ", data, table + i * entry + 0x18)
                fields = data[offset : offset + size].decode("utf-8", "replace").split("\0")
                return [(key, value) for key, sep, value in (field.partition("=") for field in fields) if sep]
    except (struct.error, OverflowError):
        return []
    return []


def read_module(tree: Path, path: Path) -> Module:
    """Reads one module of `tree`; `.xz` (Debian 13) is unpacked on the way."""
    data = (tree / path).read_bytes()
    if path.suffix == ".xz":
        data = lzma.decompress(data)
    depends: list[str] = []
    soft: list[str] = []
    aliases: list[str] = []
    for key, value in modinfo(data):
        if key == "depends":
            depends += [canonical(name) for name in value.split(",") if name]
        elif key == "softdep":
            soft += [canonical(name) for name in value.split() if name not in ("pre:", "post:")]
        elif key == "alias":
            aliases.append(value)
    return Module(canonical(path.name), path, tuple(depends), tuple(soft), tuple(aliases))


class ModuleTree:
    """The modules under `root` (`…/lib/modules/<release>`), as the kernel's package lays them out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = {canonical(p.name): p.relative_to(root) for p in sorted(root.rglob("*.ko*")) if p.is_file()}
        builtin = root / "modules.builtin"
        lines = builtin.read_text().splitlines() if builtin.exists() else []
        self.builtin = {canonical(line.rsplit("/", 1)[-1]) for line in lines}

    def closure(self, wanted: Iterable[str], *, required: Iterable[str] = ()) -> list[Module]:
        """`wanted` and `required` with all their dependencies, sorted by path.

        A wanted name that this kernel does not have is left out (kernels differ); a required one, or a hard dependency,
        that is neither there nor built in is an InfraError: a boot would hang on it much later.
        """
        must = {canonical(name) for name in required}
        todo = [*must, *(canonical(name) for name in wanted)]
        found: dict[str, Module] = {}
        while todo:
            name = todo.pop()
            if name in found:
                continue
            path = self.paths.get(name)
            if path is None:
                if name in must and name not in self.builtin:
                    raise InfraError(
                        f"the kernel has no module {name}, which a netboot needs",
                        place=str(self.root),
                        remedy="use a mirror whose kernel is Debian's own arm64 one (PIBOOT_DEBIAN_MIRROR)",
                    )
                continue
            module = found[name] = read_module(self.root, path)
            must.update(module.depends)
            todo += [*module.depends, *module.soft]
        return sorted(found.values(), key=lambda module: module.path)


def install(tree: ModuleTree, modules: Iterable[Module], target: Path) -> None:
    """Copies `modules` and the kernel's own index files to `target` (`…/lib/modules/<release>`)."""
    kept = set()
    for module in modules:
        kept.add(str(module.path).removesuffix(".xz"))
        to = target / module.path
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree.root / module.path, to)
    target.mkdir(parents=True, exist_ok=True)
    for name in INDEX_FILES:
        if (tree.root / name).exists():
            shutil.copyfile(tree.root / name, target / name)
    order = target / "modules.order"
    if order.exists():
        order.write_text("".join(f"{line}\n" for line in order.read_text().split() if line in kept))


def write_index(modules: Iterable[Module], target: Path) -> None:
    """Writes `modules.dep` and `modules.alias` as busybox' modprobe reads them (text; kmod wants depmod's .bin files).

    modules.dep names, per module, all it needs in the order in which to remove them: nearest first.
    """
    known = {module.name: module for module in modules}

    def needs(name: str, seen: list[str]) -> list[str]:
        for dependency in (*known[name].depends, *known[name].soft):
            if dependency in known and dependency not in seen and dependency != name:
                seen.append(dependency)
                needs(dependency, seen)
        return seen

    order: list[str] = []
    for module in known.values():
        # A module may be reached twice on different levels: the deeper place counts, so sort by "who needs whom".
        chain = sorted(needs(module.name, []), key=lambda name: -len(needs(name, [])))
        order.append(f"{module.path}: {' '.join(str(known[name].path) for name in chain)}".rstrip())
    (target / "modules.dep").write_text("\n".join(order) + "\n")
    aliases = [f"alias {alias} {module.name}" for module in known.values() for alias in module.aliases]
    (target / "modules.alias").write_text("".join(f"{line}\n" for line in aliases))
    for name in ("modules.symbols", "modules.softdep"):
        (target / name).write_text("")
