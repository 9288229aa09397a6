# SPDX-License-Identifier: GPL-2.0-or-later
"""What the firmware hands to the operating system: the bytes as they came over TFTP."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Loaded:
    """One file as received. path: as asked from the server, prefix included."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """kernel and dtb are always there; cmdline_received: the first line of cmdline.txt; cmdline: after the firmware.

    console: the kernel's name of the UART that is wired to the header ("ttyS0" or "ttyAMA0"), "" when the board's
    configuration leaves the header without a kernel console; notes: what a reader of the record should know.
    """

    kernel: Loaded
    initramfs: Loaded | None
    dtb: Loaded
    compatible: tuple[str, ...]
    dtb_ok: bool
    cmdline_received: str
    cmdline: str
    console: str
    notes: tuple[str, ...] = ()
