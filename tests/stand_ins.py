# SPDX-License-Identifier: GPL-2.0-or-later
"""Small boot files, for boots that end with the kernel's first line: the firmware looks at the first octets of a kernel of 33 MB,
and takes the rest of its 22,000 blocks without a look. Boots that go on want the real ones."""

import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

from harness.images import BootSet
from harness.lab import booting
from tests.emulator import samples

#: Octets: some hundred blocks of a file that is large on a real board, at each block size.
SIZE = 200_000
FIRST_LINE = "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd083]\r\n"


@contextmanager
def small_boot_files(folder: Path) -> Iterator[None]:
    """Emulated labs whose rigs start in here hand out stand-ins for what is large, laid out in `folder`.

    Everything else is real: the device trees, bootcode.bin, the overlays, the servers, the root file system's export, the
    virtual machine that the kernel starts in.
    """
    real = booting.with_initramfs

    def small(images: BootSet, flavour: str) -> BootSet:
        boot = folder / f"{images.kind}-{flavour}"
        if not boot.exists():
            lay_out(images.boot, boot)
        return replace(real(images, flavour), boot=boot, initramfs=None)

    with mock.patch.object(booting, "with_initramfs", small):
        yield


def lay_out(boot: Path, folder: Path) -> None:
    """A boot partition like `boot`, with stand-ins."""
    shutil.copytree(boot, folder, ignore=shutil.ignore_patterns("*.elf", "kernel*.img", "initramfs*"))
    for path in boot.iterdir():
        if path.suffix == ".elf":
            (folder / path.name).write_bytes(samples.elf(SIZE))
        elif path.name.startswith("kernel"):
            (folder / path.name).write_bytes(kernel(SIZE))
        elif path.name.startswith("initramfs"):
            (folder / path.name).write_bytes(b"070701".ljust(SIZE, b"0"))


def kernel(size: int) -> bytes:
    """An arm64 Image that says a kernel's first line on the serial port of QEMU's `virt`, and sleeps."""
    # Documentation/arch/arm64/booting.rst: code, text offset, size, flags, reserved, magic.
    header = struct.pack("<IIQQQQQQ4sI", 0x14000010, 0, 0, size, 0xA, 0, 0, 0, b"ARM\x64", 0)  # b +64
    code = [0xD2A00000 | 0x0900 << 5]  # movz x0, #0x0900, lsl #16: the PL011 at 0x09000000
    for letter in FIRST_LINE.encode():
        code += [0x52800000 | letter << 5 | 1, 0xB9000001]  # movz w1, #letter; str w1, [x0]
    code += [0xD503207F, 0x17FFFFFF]  # wfi; b -4
    return (header + struct.pack(f"<{len(code)}I", *code)).ljust(size, b"\0")
