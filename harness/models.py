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


#: Names tried for the kernel, in order, for a 64-bit system and then for 32-bit ones (C: request lists A-C; FW#1605).
_KERNELS_2710 = ("kernel8.img", "kernel7.img", "kernel.img")
_KERNELS_2711 = ("kernel8.img", "kernel7l.img", "kernel7.img", "kernel.img")
#: S: the candidates in released BCM2712 images, in this order.
_KERNELS_2712 = (
    "kernel_2712.img",
    "kernel8.img",
    "kernel8_rt.img",
    "kernel8-32.img",
    "kernel7l.img",
    "kernel7.img",
    "kernel.img",
)

_OPTIONAL_2710 = (
    "bootsig.bin",
    "autoboot.txt",
    "recovery.elf",
    "dt-blob.bin",
    "bootcfg.txt",
    "recovery8.img",
    "recovery7.img",
    "recovery.img",
    "kernel8-32.img",
    "armstub8.bin",
    "armstub8-32.bin",
    "armstub7.bin",
    "overlays/overlay_map.dtb",
)

_OPTIONAL_2711 = (
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
)

#: S: no recovery*.img, dt-blob.bin or bootcfg.txt in BCM2712 images.
_OPTIONAL_2712 = (
    "pieeprom.sig",
    "pieeprom.upd",
    "armstub8-2712.bin",
    "overlays/overlay_map.dtb",
    "overlays/hat_map.dtb",
    "overlays/bcm2712d0.dtbo",
)


def _rom(
    name: str, title: str, *, revision: str, dtb: str, compatible: str, first_discover: float, speed: int
) -> Model:
    """A board of the BCM2837 family: its boot ROM fetches bootcode.bin, which fetches start.elf.

    What is inferred of these programs is a parameter of harness/emulator/bootrom.py, bootrom_dhcp.py and bootcode.py: how
    long "about a second" is to a 3B, how often they ask by ARP, when they drop a file, what a 3B+ and bootcode.bin accept.
    """
    return Model(
        name=name,
        title=title,
        soc="BCM2837",
        bootloader="rom",
        fourcc=b"",  # C: option 97 is 16 times 0x44, or the serial number four times; there is no four-character code
        revision=revision,
        start_elf="start.elf",
        fixup="fixup.dat",
        kernels=_KERNELS_2710,
        dtb=dtb,
        compatible=compatible,
        to_network=first_discover,
        link_up=0.0,  # in to_network: the ROM says nothing of it
        link_speed=speed,
        cpu="cortex-a53",
        needed=("bootcode.bin", "start.elf", "fixup.dat", "config.txt", "cmdline.txt", dtb),
        optional=_OPTIONAL_2710,
        budgets={**_BUDGETS, "link": 30.0, "dhcp": 30.0, "firmware": 90.0},
    )


def _bcm2711(name: str, title: str, *, revision: str, dtb: str, compatible: str) -> Model:
    """A board of the BCM2711: an EEPROM bootloader, then start4.elf."""
    return Model(
        name=name,
        title=title,
        soc="BCM2711",
        bootloader="eeprom",
        fourcc=b"4iPR",  # C: since 2022-03-10; "RPi4" before (option 97 by date)
        revision=revision,
        start_elf="start4.elf",
        fixup="fixup4.dat",
        kernels=_KERNELS_2711,
        dtb=dtb,
        compatible=compatible,
        to_network=2.5,  # C: CM4 UART log, NETWORK at 2.5 s
        link_up=2.8,  # C: same log, link at 5.2 s
        link_speed=1000,
        cpu="cortex-a72",
        needed=("start4.elf", "fixup4.dat", "config.txt", "cmdline.txt", dtb),
        optional=_OPTIONAL_2711,
    )


def _bcm2712(name: str, title: str, *, revision: str, dtb: str, compatible: str) -> Model:
    """A board of the BCM2712: all firmware is in the EEPROM; no start*.elf is ever asked for.

    What is inferred of it is in harness/emulator: pi5.py (which files are probed, where a path has two slashes, what follows
    a failed os_check), releases.py (stamps before 2025-05-08, DHCP resends), stack.py (IP identification as on a BCM2711),
    http_boot.py (error numbers, header lines), netconsole.py (one datagram per line).
    """
    return Model(
        name=name,
        title=title,
        soc="BCM2712",
        bootloader="eeprom",
        fourcc=b"5iPR",  # C: since 2023-10-30; "4iPR" before
        revision=revision,
        start_elf="",
        fixup="",
        kernels=_KERNELS_2712,
        dtb=dtb,
        compatible=compatible,
        to_network=7.5,  # C: EE#687, NETWORK at 7.52 s (an SD card was tried first: 4.8 s)
        link_up=2.9,  # C: same log, 7.52 -> 10.39
        link_speed=1000,
        cpu="cortex-a76",
        needed=("config.txt", "cmdline.txt", dtb),
        optional=_OPTIONAL_2712,
        budgets={**_BUDGETS, "link": 30.0},
    )


#: to_network of the ROM boards is power to the first DISCOVER: 10-18 s were seen (FW#1081, raspi-netboot README); 10 s I.
PI2B = _rom(
    "pi2b",
    "Raspberry Pi 2 Model B v1.2",
    revision="a02042",
    dtb="bcm2710-rpi-2-b.dtb",
    compatible="raspberrypi,2-model-b-rev2",
    first_discover=10.0,
    speed=100,
)
PI3B = _rom(
    "pi3b",
    "Raspberry Pi 3 Model B",
    revision="a02082",
    dtb="bcm2710-rpi-3-b.dtb",
    compatible="raspberrypi,3-model-b",
    first_discover=10.0,
    speed=100,
)
PI3BPLUS = _rom(
    "pi3bplus",
    "Raspberry Pi 3 Model B+",
    revision="a020d3",
    dtb="bcm2710-rpi-3-b-plus.dtb",
    compatible="raspberrypi,3-model-b-plus",
    first_discover=10.0,
    speed=1000,
)
PI4 = _bcm2711(
    "pi4",
    "Raspberry Pi 4 Model B",
    revision="d03114",  # C: 4B 8 GB rev 1.4
    dtb="bcm2711-rpi-4-b.dtb",
    compatible="raspberrypi,4-model-b",
)
PI400 = _bcm2711(
    "pi400", "Raspberry Pi 400", revision="c03130", dtb="bcm2711-rpi-400.dtb", compatible="raspberrypi,400"
)
CM4 = _bcm2711(
    "cm4",
    "Raspberry Pi Compute Module 4",
    revision="d03140",
    dtb="bcm2711-rpi-cm4.dtb",
    compatible="raspberrypi,4-compute-module",
)
PI5 = _bcm2712(
    "pi5",
    "Raspberry Pi 5 Model B",
    revision="d04170",
    dtb="bcm2712-rpi-5-b.dtb",
    compatible="raspberrypi,5-model-b",
)
CM5 = _bcm2712(
    "cm5",
    "Raspberry Pi Compute Module 5",
    revision="d04180",
    dtb="bcm2712-rpi-cm5-cm5io.dtb",
    compatible="raspberrypi,5-compute-module",
)

#: First public release of the EEPROM bootloader, by SoC (C: rpi-eeprom release notes).
FIRST_BOOTLOADER: Mapping[str, str] = {"BCM2711": "2019-09-23", "BCM2712": "2023-09-13"}

MODELS: Mapping[str, Model] = {model.name: model for model in (PI2B, PI3B, PI3BPLUS, PI4, PI400, CM4, PI5, CM5)}
