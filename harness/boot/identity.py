# SPDX-License-Identifier: GPL-2.0-or-later
"""Who sent a DHCP request, and which board it is: told by what the request holds, never by addresses alone.

Every stage of every Pi says what an x86 BIOS would say (option 60 "PXEClient:Arch:00000:UNDI:002001", option 93 0:
EE#182, FW#1928), so a Pi is told from a PC by the list of options that it wants (55), its identifier (97) and, for the boot
ROM's stack, its constant transaction id. Sources: raspberrypi/documentation boot-net (3B capture), FW#871, FW#1605 (322
octets), a Pi 400's capture, EE#58, rpi-eeprom release notes 2020-03-11 and 2023-10-30 (option 97), revision-codes. Other
clients: Linux net/ipv4/ipconfig.c, klibc ipconfig, EDK2 NetworkPkg, iPXE, U-Boot's net/bootp.c.
"""

from dataclasses import dataclass

from harness.boot.events import DhcpMessage

#: C: the only transaction id of boot ROM and bootcode.bin (dnsmasq prints it as 653460281).
ROM_XID = 0x26F30339

FIRMWARE_CLASS = b"PXEClient:Arch:00000:UNDI:002001"

WANTS_ROM = bytes.fromhex("2b3c43808182838485868742")  # C: 2B v1.2 and 3B; BOOTP of 320 octets
WANTS_ROM_NEW = WANTS_ROM + b"\x01\x03"  # C: 3B+, and bootcode.bin on any Pi 0-3; 322 octets
WANTS_EEPROM = bytes.fromhex("01032b3c42438081828384858687")  # C: Pi 4 and later

#: net/ipv4/ipconfig.c: what a kernel with ip=dhcp wants (later versions append 42).
_WANTS_KERNEL = bytes((1, 3, 6, 12, 15, 17, 26, 40))

#: First four octets of option 97 behind its type, with the family that a revision code may correct. "4iPR" was sent by the
#: first Pi 5 bootloaders as well (until 2023-10-30).
_FOURCC = {b"RPi4": "bcm2711", b"4iPR": "bcm2711", b"5iPR": "bcm2712"}

#: Bits 4-11 of a new-style revision code (bit 23 set).
REVISION_TYPES = {
    0x00: "pi1a", 0x01: "pi1b", 0x02: "pi1aplus", 0x03: "pi1bplus", 0x04: "pi2b", 0x06: "cm1", 0x08: "pi3b", 0x09: "zero",
    0x0A: "cm3", 0x0C: "zerow", 0x0D: "pi3bplus", 0x0E: "pi3aplus", 0x10: "cm3plus", 0x11: "pi4", 0x12: "zero2w",
    0x13: "pi400", 0x14: "cm4", 0x15: "cm4s", 0x17: "pi5", 0x18: "cm5", 0x19: "pi500", 0x1A: "cm5lite",
}  # fmt: skip

_PROCESSORS = {0: "rom", 1: "rom", 2: "rom", 3: "bcm2711", 4: "bcm2712"}

#: MAC prefixes of Raspberry Pi. The first was used up to the 3B+; the others are not told apart safely.
PI_OUIS = {
    "b8:27:eb": "rom",
    "dc:a6:32": "bcm2711",
    "e4:5f:01": "bcm2711",
    "d8:3a:dd": "",
    "2c:cf:67": "",
    "88:a2:9e": "",
}


@dataclass(frozen=True, slots=True)
class Guid:
    """Option 97 of a Pi. form: "constant" (sixteen 0x44), "serial" (the serial number four times) or "fourcc"."""

    form: str
    family: str = ""
    serial: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """kind: "firmware" (of a Pi), "uefi", "ipxe", "pxe" (another machine's PXE ROM), "u-boot" or "os"; program: "rom",
    "bootcode.bin", "eeprom" or the client's name, where the request alone tells; why: the sign that told.
    """

    kind: str
    program: str = ""
    why: str = ""


def revision_model(code: str) -> tuple[str, str]:
    """(model, family) of a revision code in hex; ("", "") for an old-style or senseless one."""
    try:
        value = int(code, 16)
    except ValueError:
        return "", ""
    if not value >> 23 & 1:
        return "", ""
    return REVISION_TYPES.get(value >> 4 & 0xFF, ""), _PROCESSORS.get(value >> 12 & 0xF, "")


def guid(message: DhcpMessage) -> Guid | None:
    """What option 97 says of a Pi; None when it is not in a Pi's form."""
    value = message.option(97)
    if value is None or len(value) != 17 or value[0] != 0:
        return None
    body = value[1:]
    if body == b"\x44" * 16:
        return Guid("constant", "rom")
    serial = f"{int.from_bytes(body[12:16], 'little'):08x}"
    if body == body[:4] * 4 and any(body):
        return Guid("serial", serial=serial)
    revision = f"{int.from_bytes(body[4:8], 'little'):06x}"
    model, family = revision_model(revision)
    known = _FOURCC.get(body[:4])
    own_mac = body[8:12].hex(":") == message.chaddr[6:]
    # DHCP_OPTION97 in the EEPROM's configuration replaces the four characters: revision and MAC still tell.
    if known is None and not (model and own_mac):
        return None
    return Guid("fourcc", family or known or "", serial, revision if model else "")


def sender(message: DhcpMessage) -> Sender:  # noqa: PLR0911 - one answer per kind of client
    """Who sent this request. Answers are not to be asked about."""
    says = (message.option(60) or b"").decode("ascii", "backslashreplace")
    user = message.option(77) or b""
    wants = message.option(55)
    if b"iPXE" in user or b"gPXE" in user or message.option(175) is not None or says.startswith("iPXE"):
        return Sender("ipxe", "ipxe", "user class or option 175 of iPXE")
    if says.startswith("U-Boot"):
        return Sender("u-boot", "u-boot", f"vendor class {says}")
    if message.ttl > 128 and says.startswith("PXEClient:"):
        # Its `bootcmd_dhcp` asks a second time in UEFI's words, to load an EFI program (U-Boot 2023.01, captured).
        return Sender("u-boot", "u-boot", f"TTL {message.ttl}")
    if message.xid == ROM_XID or wants in {WANTS_ROM, WANTS_ROM_NEW}:
        program = "rom" if wants == WANTS_ROM or message.length == 320 else ""
        return Sender("firmware", program, "transaction id and option list of the boot ROM")
    identifier = guid(message)
    if identifier is not None and identifier.form == "fourcc":
        return Sender("firmware", "eeprom", "option 97 of a Pi")
    if wants == WANTS_EEPROM:
        return Sender("firmware", "eeprom", "option list of a Pi's EEPROM bootloader")
    if says == FIRMWARE_CLASS.decode():
        odd_guid = message.option(97) is not None and identifier is None
        if wants is None and not odd_guid:
            return Sender("firmware", "eeprom" if message.type == "REQUEST" else "", f"vendor class {says}")
        return Sender("pxe", "pxe", f"vendor class {says}, but options that no Pi sends")
    if says.startswith(("PXEClient:Arch:00000", "PXEClient:Arch:00006")) and wants is not None:
        return Sender("pxe", "pxe", f"vendor class {says}")
    if says.startswith(("PXEClient:Arch:", "HTTPClient:Arch:")):
        return Sender("uefi", "uefi", f"vendor class {says}")
    return Sender("os", _os_program(says, wants), f"vendor class {says}" if says else "no vendor class")


def _os_program(says: str, wants: bytes | None) -> str:
    for start, name in (
        ("Linux ipconfig", "klibc"),
        ("udhcp", "udhcpc"),
        ("dhcpcd", "dhcpcd"),
        ("systemd", "networkd"),
    ):
        if says.startswith(start):
            return name
    return "kernel" if wants is not None and wants.startswith(_WANTS_KERNEL) else "os"
