# SPDX-License-Identifier: GPL-2.0-or-later
"""A 2B, 3B or 3B+ in the simulated world, and the files that it asks for."""

import random
from typing import Any

from harness.emulator import bootrom, eeprom, otp, releases
from harness.emulator.dhcp import Identity
from harness.emulator.machine import Machine
from harness.models import MODELS
from tests.emulator import samples
from tests.emulator.netserver import udp
from tests.emulator.simulator import Wire, World

#: The 3B+ of a public dnsmasq log: its MAC's last three octets are those of its serial number.
MAC = bytes.fromhex("b827eb07bcc6")
SERIAL = 0x8B07BCC6
P = "8b07bcc6/"
#: bootcode.bin after `sed s/BOOT_UART=0/BOOT_UART=1/`; two full blocks and a short one.
BOOTCODE = b"\x0e\0\0\xea" + b"Raspberry Pi Bootcode\0BOOT_UART=1\n".ljust(1196, b"\x5a")
#: Option 43 as dnsmasq makes it of pxe-service=0,"Raspberry Pi Boot   ".
SPACED = bytes.fromhex("0601030a04005058450917000014") + b"Raspberry Pi Boot   " + b"\xff"
MENU = ((43, SPACED),)
#: dnsmasq log of a 3B+ with Raspberry Pi OS Bookworm, 2025-09-26 (norcal-technologies/pi-network-boot); the overlay is
#: this tree's. dnsmasq logs bootsig.bin first; the captures of FW#745 and FW#1041 show that bootcode.bin is.
ORDER = [
    "G bootcode.bin",
    "N bootsig.bin",
    # bootcode.bin is the client from here on
    f"P {P}start.elf",
    f"N {P}autoboot.txt",
    f"P {P}start.elf",
    f"G {P}config.txt",
    f"N {P}recovery.elf",
    f"G {P}start.elf",
    f"G {P}fixup.dat",
    # start.elf is the client from here on
    f"N {P}recovery.elf",
    f"P {P}config.txt",
    f"G {P}config.txt",
    f"N {P}dt-blob.bin",
    f"N {P}recovery.elf",
    f"P {P}config.txt",
    f"G {P}config.txt",
    f"N {P}bootcfg.txt",
    f"N {P}recovery8.img",
    f"P {P}kernel8.img",
    f"P {P}kernel8.img",
    f"P {P}initramfs8",
    f"P {P}initramfs8",
    f"P {P}initramfs8",
    f"G {P}initramfs8",
    f"P {P}bcm2710-rpi-3-b-plus.dtb",
    f"G {P}bcm2710-rpi-3-b-plus.dtb",
    f"P {P}overlays/overlay_map.dtb",
    f"G {P}overlays/overlay_map.dtb",
    f"P {P}config.txt",
    f"G {P}config.txt",
    f"P {P}overlays/disable-bt.dtbo",
    f"G {P}overlays/disable-bt.dtbo",
    f"P {P}cmdline.txt",
    f"G {P}cmdline.txt",
    f"N {P}armstub8.bin",
    f"P {P}kernel8.img",
    f"G {P}kernel8.img",
]


def tree(model: str = "pi3bplus", prefix: str = P, **changes: bytes | None) -> dict[str, bytes]:
    """A boot tree for start.elf, with bootcode.bin in the root; changes: names with _ for . / and -, None takes away."""
    names = {"start4.elf": "start.elf", "fixup4.dat": "fixup.dat", "bcm2711-rpi-4-b.dtb": MODELS[model].dtb}
    files = {names.get(name, name): data for name, data in samples.tree("").items()}
    files[MODELS[model].dtb] = samples.dtb(MODELS[model].compatible, "brcm,bcm2837")
    spelled = {name.replace(".", "_").replace("/", "_").replace("-", "_"): name for name in files}
    for key, value in changes.items():
        if value is None:
            del files[spelled[key]]
        else:
            files[spelled.get(key, key)] = value
    return {"bootcode.bin": BOOTCODE} | {prefix + name: data for name, data in files.items()}


def machine(world: World, model: str, *, speed: float = 1.0, **fuses: Any) -> Machine:
    return Machine(
        model=MODELS[model],
        identity=Identity(MAC, SERIAL, int(MODELS[model].revision, 16), None),
        eeprom=eeprom.read({}),
        release=releases.release(""),
        clock=lambda: world.now,
        rng=random.Random(1),  # noqa: S311 - the same boot every time
        speed=speed,
        otp=otp.read(fuses),
    )


def late(server: Wire, seconds: float) -> Wire:
    """The same server, whose OFFERs come later."""

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        packet = udp(frame)
        more = seconds if packet is not None and packet.dport == 67 else 0.0
        return [(delay + more, answer) for delay, answer in server(now, frame)]

    return wire


def boot(
    wire: Wire,
    model: str = "pi3bplus",
    *,
    seconds: float = 200.0,
    link: bool = True,
    speed: float = 1.0,
    answers: tuple[str, ...] = (),
    **fuses: Any,
) -> World:
    """A boot from power-on; fuses: keys of otp.py."""
    world = World(wire, link=link, answers=list(answers))
    return world.run(bootrom.program(machine(world, model, speed=speed, **fuses)), seconds=seconds)


def discovers(world: World) -> list[float]:
    """When DISCOVERs were sent, seconds after power-on."""
    return [round(when - 1000, 3) for when, frame in world.sent if (packet := udp(frame)) and packet.dport == 67]
