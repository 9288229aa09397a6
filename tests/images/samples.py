# SPDX-License-Identifier: GPL-2.0-or-later
"""Small fakes: a kernel module that is ELF as far as it matters, a module tree, a builder without network and root."""

import struct
from pathlib import Path

from harness.images.cache import Builder, Made


def elf_module(*fields: str) -> bytes:
    """A 64-bit little-endian ELF object with the sections null, .modinfo (the `key=value` fields) and .shstrtab."""
    info = b"".join(field.encode() + b"\0" for field in fields)
    names = b"\0.modinfo\0.shstrtab\0"
    at_info = 64
    at_names = at_info + len(info)
    at_table = (at_names + len(names) + 7) & ~7
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 1, 183, 1, 0, 0, at_table, 0, 64, 0, 0, 64, 3, 2)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 1, 0, 0, at_info, len(info), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 10, 3, 0, 0, at_names, len(names), 0, 0, 1, 0)
    return (header + info + names).ljust(at_table, b"\0") + sections


TREE = {
    "kernel/fs/nfs/nfs.ko": ("depends=lockd,sunrpc", "alias=fs-nfs"),
    "kernel/fs/nfs/nfsv3.ko": ("depends=nfs,sunrpc,lockd",),
    "kernel/fs/lockd/lockd.ko": ("depends=sunrpc",),
    "kernel/net/sunrpc/sunrpc.ko": ("depends=",),
    "kernel/drivers/net/virtio_net.ko": ("depends=net-failover", "alias=virtio:d00000001v*"),
    "kernel/drivers/net/net_failover.ko": ("depends=",),
    "kernel/lib/libcrc32c.ko": ("depends=", "softdep=pre: crc32c-special"),
    "kernel/crypto/crc32c-special.ko": ("depends=",),
    "kernel/sound/huge.ko": ("depends=",),
}


def module_tree(root: Path) -> Path:
    """Writes TREE as a kernel's package would lay it out, `root` being …/lib/modules/<release>."""
    for name, fields in TREE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(elf_module(*fields))
    (root / "modules.builtin").write_text("kernel/net/packet/af_packet.ko\nkernel/drivers/virtio/virtio-pci.ko\n")
    (root / "modules.order").write_text("".join(f"{name}\n" for name in TREE))
    return root


def lay_out(builder: Builder) -> None:
    """What a build leaves: a boot partition and a root with a link, a folder and files."""
    (builder.folder / "boot/overlays").mkdir(parents=True)
    (builder.folder / "boot/kernel8.img").write_bytes(b"kernel" * 100)
    (builder.folder / "boot/overlays/disable-bt.dtbo").write_bytes(b"overlay")
    (builder.folder / "root/etc").mkdir(parents=True)
    (builder.folder / "root/etc/hostname").write_text("pi\n")
    (builder.folder / "root/sbin").symlink_to("usr/sbin")


class FakeBuild:
    """A build that counts how often it was called."""

    def __init__(self, packages: tuple[str, ...] = ("linux=1",)) -> None:
        self.calls = 0
        self.packages = packages

    def __call__(self, builder: Builder) -> Made:
        self.calls += 1
        builder.step("laying out")
        lay_out(builder)
        return Made("6.1.0-50-arm64", self.packages)
