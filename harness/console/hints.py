# SPDX-License-Identifier: GPL-2.0-or-later
"""What a console says about which board it belongs to, from its milestones alone."""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.boot.events import Milestone
from harness.boot.identity import REVISION_TYPES

#: Model and family, either may be open.
_Sign = tuple[str | None, str | None]

#: Bits 12-15: the processor, hence what boots it.
_PROCESSORS = {0: "rom", 1: "rom", 2: "rom", 3: "pi4", 4: "pi5"}

_TITLES = (
    ("Compute Module 5", "cm5", "pi5"),
    ("Compute Module 4", "cm4", "pi4"),
    ("Raspberry Pi 500", "pi500", "pi5"),
    ("Raspberry Pi 400", "pi400", "pi4"),
    ("Raspberry Pi 5", "pi5", "pi5"),
    ("Raspberry Pi 4", "pi4", "pi4"),
    ("Raspberry Pi 3 Model B Plus", "pi3bplus", "rom"),
    ("Raspberry Pi 3 Model B", "pi3b", "rom"),
    ("Raspberry Pi 2 Model B", "pi2b", "rom"),
)

#: MIDR_EL1's part number: Cortex-A53 (also a Pi 2B v1.2), A72, A76.
_CORES = {"d03": "rom", "d08": "pi4", "d0b": "pi5"}

_DRIVERS = {
    "lan78xx": ("pi3bplus", "rom"),
    "muge": ("pi3bplus", "rom"),
    "smsc95xx": (None, "rom"),
    "bcmgenet": (None, "pi4"),
    "macb": (None, "pi5"),
}

#: Where the peripherals of a SoC begin, as the kernel names its UART: BCM2835, BCM2837, BCM2711, BCM2712 and RP1.
_PERIPHERALS = {"20": "rom", "3f": "rom", "fe": "pi4", "10": "pi5", "1f": "pi5"}

#: MAC prefixes of Raspberry Pi: the first was used up to the 3B+, the others from the 4 on (not told apart).
_OUI = {"b8:27:eb": "rom"}


@dataclass(frozen=True, slots=True)
class Hints:
    """model: the exact one where something names it; family: "rom" (Pi 0 to 3, boot ROM), "pi4" (BCM2711), "pi5"
    (BCM2712); bootloader_date: ISO. None: nothing says.
    """

    model: str | None = None
    family: str | None = None
    bootloader_date: str | None = None


def hints(milestones: Iterable[Milestone]) -> Hints:
    """The first strong sign of each wins over weak ones, wherever they stand."""
    strong: list[_Sign] = []
    weak: list[_Sign] = []
    date = None
    for milestone in milestones:
        fields = milestone.fields
        if milestone.name in {"bootloader.banner", "diag.bootloader"} and fields.get("date"):
            date = date or fields["date"]
        if milestone.name in {"kernel.machine", "diag.board"}:
            strong += _title(fields.get("model") or fields.get("board") or "")
        if sign := _revision(fields.get("boardrev", "")):
            strong.append(sign)
        weak += _weak(milestone)
    signs = strong + weak
    return Hints(
        next((model for model, _ in signs if model), None), next((family for _, family in signs if family), None), date
    )


def _weak(milestone: Milestone) -> list[_Sign]:
    fields = milestone.fields
    family = None
    match milestone.name:
        case "bootloader.banner" if fields["kind"] == "bootcode":
            family = "rom"
        case (
            "firmware.start_elf"
            | "firmware.read_file"
            | "tftp.get"
            | "firmware.dtb"
            | "firmware.load"
            | "firmware.open"
        ):
            family = _file(fields.get("path") or fields.get("file") or "")
        case "firmware.bl31":
            family = "pi5"
        case "bootloader.vl805":
            family = "pi4"  # its USB controller
        case "uboot.device" if fields["device"].startswith("ethernet@7d58"):
            family = "pi4"  # GENET
        case "kernel.start" | "kernel.cpu":
            family = _CORES.get(fields["midr"][6:9])
        case "kernel.nic":
            return [_DRIVERS.get(fields["driver"], (None, None))]
        case "kernel.uart" if len(fields["address"]) >= 8:
            family = _PERIPHERALS.get(fields["address"][:2])
        case "kernel.ip_config" | "net.wait_link" | "bootcode.ethernet":
            family = _OUI.get(fields["mac"][:8])
    return [(None, family)]


def _revision(code: str) -> _Sign | None:
    value = int(code, 16) if code else 0
    if not value >> 23 & 1:
        return None
    return REVISION_TYPES.get(value >> 4 & 0xFF), _PROCESSORS.get(value >> 12 & 0xF)


def _title(text: str) -> list[_Sign]:
    for title, model, family in _TITLES:
        if title in text:
            return [(model, family)]
    return []


def _file(path: str) -> str | None:
    name = path.rsplit("/", 1)[-1]
    if name in {"start4.elf", "fixup4.dat"} or name.startswith("bcm2711-"):
        return "pi4"
    if name.startswith("bcm2712"):
        return "pi5"
    if name in {"start.elf", "fixup.dat"} or name.startswith(("bcm2710-", "bcm2837-")):
        return "rom"
    return None
