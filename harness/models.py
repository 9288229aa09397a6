# SPDX-License-Identifier: GPL-2.0-or-later
"""What each Raspberry Pi model does at power-on, as data: the facts that emulator and judge must not both get wrong.

Certainty of a fact, in the comments: C documented by Raspberry Pi or seen in a real capture or log; S a string or
constant of released EEPROM images; I inferred; G general. Times are seconds on a real board (emulation divides them
by its speed). Sources: raspberrypi/documentation (eeprom-bootloader, bootflow-eeprom, boot-net, revision-codes), rpi-
eeprom release notes, issues of raspberrypi/firmware (FW#) and raspberrypi/rpi-eeprom (EE#).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: How long each stage may take on a real board before it is called late, seconds. Generous: a regression of a factor
#: shows, noise does not. firmware: 17 s for 30 MB was seen on a Pi 4 at blksize 1024 (C); kernel to OS DHCP 9-18 s
#: (C, pici#33).
_BUDGETS: Mapping[str, float] = {
    "power": 5.0,
    "link": 20.0,
    "dhcp": 15.0,
    "firmware": 60.0,
    "kernel": 30.0,
    "initramfs": 60.0,
    "root": 60.0,
    "userspace": 90.0,
    "login": 20.0,
}


@dataclass(frozen=True)
class Model:
    """One model.

    bootloader: "eeprom" or "rom"; fourcc: first four octets of option 97 after the type octet, by current firmware;
    revision: a usual board revision code; start_elf: the VideoCore firmware asked first, "" when it lives in the
    EEPROM; kernels: names tried, in order, for a 64-bit system; dtb: the device tree's name; compatible: a string
    that the device tree's root node must hold; to_network / link_up: seconds from power to the NETWORK boot mode, and
    from there to link-up. needed: files without which the board does not boot (after the prefix); optional: files
    whose absence is normal.
    """

    name: str
    title: str
    soc: str
    bootloader: str
    fourcc: bytes
    revision: str
    start_elf: str
    fixup: str
    kernels: tuple[str, ...]
    dtb: str
    compatible: str
    to_network: float
    link_up: float
    link_speed: int
    cpu: str
    needed: tuple[str, ...]
    optional: tuple[str, ...]
    budgets: Mapping[str, float] = field(default_factory=lambda: dict(_BUDGETS))


PI4 = Model(
    name="pi4",
    title="Raspberry Pi 4 Model B",
    soc="BCM2711",
    bootloader="eeprom",
    fourcc=b"4iPR",  # C: since 2022-03-10; "RPi4" before (option 97 by date)
    revision="d03114",  # C: 4B 8 GB rev 1.4
    start_elf="start4.elf",
    fixup="fixup4.dat",
    kernels=("kernel8.img", "kernel7l.img", "kernel7.img", "kernel.img"),
    dtb="bcm2711-rpi-4-b.dtb",
    compatible="raspberrypi,4-model-b",
    to_network=2.5,  # C: CM4 UART log, NETWORK at 2.5 s
    link_up=2.8,  # C: same log, link at 5.2 s
    link_speed=1000,
    cpu="cortex-a72",
    needed=("start4.elf", "fixup4.dat", "config.txt", "cmdline.txt", "bcm2711-rpi-4-b.dtb"),
    optional=(
        "start.elf",
        "pieeprom.sig",
        "pieeprom.upd",
        "vl805.sig",
        "vl805.bin",
        "recover4.elf",
        "recovery.elf",
        "dt-blob.bin",
        "bootcfg.txt",
        "recovery8.img",
        "recovery7l.img",
        "recovery.img",
        "armstub8-gic.bin",
        "armstub8-32-gic.bin",
        "overlays/overlay_map.dtb",
    ),
)

MODELS: Mapping[str, Model] = {model.name: model for model in (PI4,)}
