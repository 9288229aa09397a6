# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of a small boot tree: as much of each format as the firmware looks at."""

import struct


def elf(size: int = 3000) -> bytes:
    """A start4.elf: a 32-bit ELF file with one segment up to its end."""
    header = (
        b"\x7fELF\x01\x01\x01" + b"\0" * 9 + struct.pack("<HHIIIIIHHHHHH", 2, 137, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    )
    return (header + struct.pack("<8I", 1, 84, 0, 0, size - 84, size, 5, 4)).ljust(size, b"\x55")


def kernel(size: int = 9000) -> bytes:
    """An arm64 Image by its magic."""
    return (b"MZ" + b"\0" * 54 + b"ARM\x64").ljust(size, b"\xaa")


def dtb(*compatible: str) -> bytes:
    """A device tree whose root node has that `compatible`."""
    names = b"model\0compatible\0"
    value = b"".join(text.encode() + b"\0" for text in compatible or ("raspberrypi,4-model-b", "brcm,bcm2711"))
    structure = struct.pack(">I", 1) + b"\0" * 4
    structure += struct.pack(">III", 3, 4, 0) + b"Pi\0\0"
    structure += struct.pack(">III", 3, len(value), 6) + value + b"\0" * (-len(value) % 4)
    structure += struct.pack(">II", 2, 9)
    total = 40 + 16 + len(structure) + len(names)
    header = struct.pack(">10I", 0xD00DFEED, total, 56, 56 + len(structure), 40, 17, 16, 0, len(names), len(structure))
    return header + b"\0" * 16 + structure + names


CONFIG = b"arm_64bit=1\nenable_uart=1\nuart_2ndstage=1\nauto_initramfs=1\ndtparam=audio=on\ndtoverlay=disable-bt\n"
CMDLINE = b"console=serial0,115200 root=/dev/nfs nfsroot=10.77.0.1:/srv/pi rw ip=dhcp\nsecond line\n"


def tree(prefix: str = "91cdf03d/", **changes: bytes | None) -> dict[str, bytes]:
    """A whole boot tree under a prefix; changes: by the name with its dots as underscores, None takes a file away."""
    files: dict[str, bytes] = {
        "start4.elf": elf(),
        "fixup4.dat": b"fixup" * 100,
        "config.txt": CONFIG,
        "cmdline.txt": CMDLINE,
        "bcm2711-rpi-4-b.dtb": dtb(),
        "kernel8.img": kernel(),
        "initramfs8": b"070701" * 700,
        "overlays/overlay_map.dtb": dtb("map"),
        "overlays/disable-bt.dtbo": dtb("overlay"),
    }
    spelled = {name.replace(".", "_").replace("/", "_").replace("-", "_"): name for name in files}
    for key, value in changes.items():
        name = spelled.get(key, key)
        if value is None:
            del files[name]
        else:
            files[name] = value
    return {prefix + name: data for name, data in files.items()}
