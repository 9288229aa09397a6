# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own Pi 3B and 4B as the virtual machine: each takes the delivered device tree, less what QEMU lacks of the board.

Neither has the board's network card (LAN9514 or LAN7515 on USB; GENET), nor a 4B's PCIe: a USB card of QEMU's stands for it, on
the DWC2 controller of the SoC. Debian's device tree gives the PL011 to Bluetooth, as the board does; without that node it is
the kernel's ttyAMA0 (what dtoverlay=disable-bt does). What of a 4B makes Debian 12's kernel stop (an interrupt controller at an
address where QEMU has nothing) was found by trying.
"""

from dataclasses import dataclass
from pathlib import Path

from harness.emulator import fdt
from harness.emulator.qemu_program import version_number

_PL011_TAKEN = "so that the PL011 is ttyAMA0 (as dtoverlay=disable-bt does)"
_ABSENT = "QEMU has nothing there"


@dataclass(frozen=True, slots=True)
class Machine:
    """models: that it can be. memory: MiB, the only amount that it takes. soc: QEMU's name of it. lacks: `compatible` of
    nodes of the device tree that are switched off, and why.
    """

    models: tuple[str, ...]
    memory: int
    soc: str
    lacks: dict[str, str]


_BLUETOOTH = {"brcm,bcm43438-bt": _PL011_TAKEN}
MACHINES = {
    "raspi3b": Machine(("pi3b", "pi3bplus"), 1024, "bcm2837", _BLUETOOTH),
    "raspi4b": Machine(
        ("pi4",),
        2048,
        "bcm2838",
        _BLUETOOTH
        | dict.fromkeys(
            (
                "brcm,bcm2711-l2-intc",
                "brcm,brcm2711-dvp",
                "brcm,bcm2711-hdmi0",
                "brcm,bcm2711-hdmi1",
                "brcm,bcm2711-hdmi-i2c",
                "brcm,bcm2711-pcie",
                "brcm,bcm2711-genet-v5",
                "brcm,bcm2711-rng200",
                "brcm,bcm2711-thermal",
            ),
            _ABSENT,
        ),
    ),
}
#: machine -> the models that it can be.
MODELS = {name: machine.models for name, machine in MACHINES.items()}
_USB = ("brcm,bcm2835-usb", "brcm,bcm2708-usb")


def adapt_tree(dtb: bytes, machine: str) -> tuple[bytes, tuple[str, ...]]:
    """The device tree as the machine needs it, and what was changed, in words.

    What is no device tree comes back as it is: QEMU will refuse it.
    """
    try:
        tree = fdt.read(dtb)
    except ValueError:
        return dtb, ()
    lacks = MACHINES[machine].lacks
    off: dict[str, list[str]] = {}
    changes: list[str] = []
    for path, node in tree.root.walk():
        why = next((lacks[name] for name in node.strings("compatible") if name in lacks), None)
        if why is not None and node.on:
            node.disable()
            off.setdefault(why, []).append(path)
        if node.properties.get("dr_mode", b"host\0") != b"host\0" and set(node.strings("compatible")) & set(_USB):
            was = ", ".join(node.strings("dr_mode"))
            changes.append(f"the device tree's {path} has dr_mode = host, not {was}: the network card is on it")
            node.properties["dr_mode"] = b"host\0"
    for why, paths in off.items():
        changes.insert(0, f"switched off in the device tree: {', '.join(paths)}, {_because(why)}")
    return (tree.write(), tuple(changes)) if changes else (dtb, ())


def _because(why: str) -> str:
    return why if why.startswith("so that") else f"since {why}"


def cmdline(text: str) -> tuple[str, tuple[str, ...]]:
    """The kernel's command line for the machine, and what was changed."""
    return f"{text} maxcpus=1".lstrip(), ("maxcpus=1 was added: QEMU runs one processor of four",)


def keeps_mac(version: str) -> bool:
    """Whether this QEMU's USB card has the MAC address that it is given. version: QEMU's version line.

    Until commit aaf042299acf (September 2025) usb-net told the guest a MAC address that begins with 40, whatever it was given;
    7.2.21, 10.0.5 and 10.1.1 are the stable releases that took it over.
    """
    number = version_number(version)
    if not number:
        return True
    fixed: dict[tuple[int, ...], tuple[int, ...]] = {(7, 2): (7, 2, 21), (10, 0): (10, 0, 5), (10, 1): (10, 1, 1)}
    return number >= fixed.get(number[:2], (10, 2))


def usb_mac(mac: bytes, version: str) -> tuple[bytes, tuple[str, ...]]:
    """What the guest's MAC address is then, and what there is to say about it."""
    if keeps_mac(version) or mac[0] == 0x40:
        return mac, ()
    number = ".".join(map(str, version_number(version)))
    used = b"\x40" + mac[1:]
    return used, (
        f"the system's MAC address is {used.hex(':')}, not {mac.hex(':')}: QEMU {number}'s USB card changes it",
    )


def arguments(kernel: Path, initramfs: Path | None, dtb: Path, cmdline: str, *, machine: str, mac: bytes) -> list[str]:
    """QEMU's arguments without its name and without the descriptors that are known only at the start."""
    one = MACHINES[machine]
    argv = ["-machine", machine, "-m", str(one.memory), "-nodefaults"]
    # maxcpus=1 alone leaves three processors spinning in the machine's boot stub.
    argv += ["-global", f"{one.soc}.enabled-cpus=1"]
    argv += ["-kernel", str(kernel), "-dtb", str(dtb)]
    if initramfs is not None:
        argv += ["-initrd", str(initramfs)]
    argv += ["-append", cmdline, "-usb", "-device", f"usb-net,netdev=wire,mac={mac.hex(':')}"]
    return [*argv, "-serial", "stdio", "-display", "none", "-monitor", "none", "-no-reboot"]
