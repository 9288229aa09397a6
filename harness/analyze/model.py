# SPDX-License-Identifier: GPL-2.0-or-later
"""Which board it is: signs from wire and console, the strongest first, each named.

Sources: raspberrypi/documentation revision-codes; option 97 of each firmware (see `harness.boot.identity`); device tree
names that the firmware chooses by board. An address prefix alone tells a family at best.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.boot.events import DhcpMessage, Milestone, TransferStarted
from harness.boot.identity import PI_OUIS, ROM_XID, guid, revision_model, sender
from harness.console.hints import hints
from harness.models import MODELS

#: The usual member of a family, for a board that shows no more.
_USUAL = {"bcm2711": "pi4", "bcm2712": "pi5"}
_FAMILY = {"pi4": "bcm2711", "pi5": "bcm2712", "rom": "rom"}

_DTBS = {model.dtb: model.name for model in MODELS.values()} | {
    "bcm2837-rpi-3-b.dtb": "pi3b",
    "bcm2837-rpi-3-b-plus.dtb": "pi3bplus",
    "bcm2712-rpi-500.dtb": "pi500",
}

CERTAIN, LIKELY, WEAK = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Sign:
    """strength: CERTAIN (names the model), LIKELY, or WEAK (an address prefix)."""

    strength: int
    model: str
    family: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    model: str = "unknown"
    certain: bool = False
    family: str = ""
    evidence: tuple[str, ...] = ()


def verdict(signs: Iterable[Sign]) -> Verdict:
    """The strongest sign that names a model; a likely one only while no other family is more certain."""
    ordered = sorted(signs, key=lambda sign: sign.strength)
    named = next((sign for sign in ordered if sign.model and sign.strength == CERTAIN), None)
    familiar = next((sign for sign in ordered if sign.family), None)
    family = named.family if named is not None and named.family else familiar.family if familiar is not None else ""
    if named is None:
        named = next((sign for sign in ordered if sign.model and sign.family == family), None)
    model = named.model if named is not None else _USUAL.get(family, "unknown")
    says = [sign.text for sign in ordered if sign is named or (sign.family and sign.family == family)]
    once = {text.rpartition(" (")[0]: text for text in reversed(says)}  # the first of each, in their order
    return Verdict(model, named is not None and named.strength == CERTAIN, family, tuple(reversed(once.values()))[:4])


def of_console(milestones: Iterable[Milestone]) -> Iterator[Sign]:
    """What console lines tell."""
    for milestone in milestones:
        fields = milestone.fields
        where = f"console line {milestone.line}"
        file = (fields.get("path") or fields.get("file") or "").rsplit("/", 1)[-1]
        if file in _DTBS:
            yield Sign(LIKELY, _DTBS[file], _family(_DTBS[file]), f"{file} ({where})")
        told = hints((milestone,))
        family = _FAMILY.get(told.family or "", "")
        if told.model is not None:
            yield Sign(CERTAIN, told.model, family, f"{_shown(milestone)} ({where})")
        elif told.family is not None:
            by_mac = milestone.name in {"kernel.ip_config", "net.wait_link", "bootcode.ethernet"}
            cortex_a53 = told.family == "rom" and fields.get("midr", "")[6:9] == "d03"
            text = f"{_shown(milestone)} ({where})"
            yield Sign(WEAK if by_mac else LIKELY, "pi3b" if cortex_a53 else "", family, text)
        if milestone.name == "bootloader.mode" and fields.get("code") == "06":
            yield Sign(LIKELY, "cm4", "bcm2711", f"NVMe is in its boot order ({where})")
        prefix = fields.get("mac", "")[:8]
        if PI_OUIS.get(prefix):
            model = "pi4" if prefix == "dc:a6:32" else ""
            yield Sign(WEAK, model, PI_OUIS[prefix], f"MAC address {fields['mac']} ({where})")


def of_wire(mac: str, messages: Iterable[DhcpMessage], started: Iterable[TransferStarted]) -> Iterator[Sign]:
    """What packets tell."""
    for message in messages:
        if not message.from_client or sender(message).kind != "firmware":
            continue
        where = f"packet {message.packet}"
        own = guid(message)
        if own is not None and own.form == "fourcc":
            model, family = revision_model(own.revision)
            if model:
                yield Sign(CERTAIN, model, family, f"revision {own.revision} in option 97 ({where})")
            characters = (message.option(97) or b"")[1:5].decode("ascii", "backslashreplace")
            yield Sign(LIKELY, "", own.family, f"option 97 says {characters!r} ({where})")
        elif message.xid == ROM_XID:
            old = message.length == 320
            says = "the ROM of a 3B or 2B v1.2" if old else "the ROM of a 3B+, or bootcode.bin"
            yield Sign(LIKELY, "pi3b" if old else "", "rom", f"DISCOVER of {message.length} octets: {says} ({where})")
    for start in started:
        file = start.path.rsplit("/", 1)[-1]
        if file in _DTBS and start.asked_by in {"start.elf", "start4.elf", "eeprom"}:
            strength = CERTAIN if start.asked_by == "start.elf" else LIKELY
            yield Sign(strength, _DTBS[file], _family(_DTBS[file]), f"asks for {file} (packet {start.packet})")
        if start.asked_by == "start4.elf":
            yield Sign(LIKELY, "", "bcm2711", f"start4.elf at work (packet {start.packet})")
    if PI_OUIS.get(mac[:8]):
        yield Sign(WEAK, "", PI_OUIS[mac[:8]], f"MAC address {mac}")


def _family(model: str) -> str:
    soc = MODELS[model].soc if model in MODELS else "BCM2712"
    return {"BCM2711": "bcm2711", "BCM2712": "bcm2712"}.get(soc, "rom")


def _shown(milestone: Milestone) -> str:
    fields = milestone.fields
    if fields.get("boardrev"):
        return f"board revision {fields['boardrev']}"
    return milestone.text.strip()[:80]
