# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP messages as the EEPROM bootloader builds and reads them, and what makes an OFFER say where the files are.

Layout and option order: capture of a Pi 400 (petemoore/sam-aarch64), option 97 by bootloader date: constants of
released images. Reading never raises.
"""

import struct
from dataclasses import dataclass

from harness.emulator.packets import NO_IP

CLIENT_PORT, SERVER_PORT = 68, 67
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
#: How the bootloader calls the message types in its log (strings of released images).
NAMES = {1: "DISCOVER", 2: "OFFER", 3: "REQUEST", 4: "DECLINE", 5: "ACK", 6: "NACK", 7: "RELEASE", 8: "INFORM"}
VENDOR_CLASS = b"PXEClient:Arch:00000:UNDI:002001"
COOKIE = b"\x63\x82\x53\x63"
PARAMETERS = bytes((1, 3, 43, 60, 66, 67, 128, 129, 130, 131, 132, 133, 134, 135))
_FIXED = struct.Struct(">BBBBIHH4s4s4s4s16s64s128s")
_MOST_OPTIONS = 256


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the board is: mac (six bytes), serial and revision (32 bits), fourcc: option 97's first four bytes.

    fourcc None means the oldest form, the serial number four times (DHCP_OPTION97=0). mac_in_guid: option 97 has the MAC's
    last octets, else zeros (EE#103).
    """

    mac: bytes
    serial: int
    revision: int
    fourcc: bytes | None
    mac_in_guid: bool = True

    @property
    def mac_text(self) -> str:
        return self.mac.hex(":")

    @property
    def serial_text(self) -> str:
        return f"{self.serial:08x}"

    @property
    def memory_mb(self) -> int:
        """From bits 20 to 22 of the revision code (revision-codes.adoc)."""
        return 256 << (self.revision >> 20 & 7)

    def guid(self) -> bytes:
        """Option 97: a type octet 0, then fourcc, revision, MAC[2..5] and serial, numbers little endian."""
        serial = self.serial.to_bytes(4, "little")
        if self.fourcc is None:
            return b"\0" + serial * 4
        mac = self.mac[2:6] if self.mac_in_guid else bytes(4)
        return b"\0" + self.fourcc + self.revision.to_bytes(4, "little") + mac + serial


@dataclass(frozen=True, slots=True)
class Reply:
    """A BOOTREPLY. options: in packet order, repeated ones kept (dnsmasq can send two options 43)."""

    xid: int
    hops: int
    yiaddr: bytes
    siaddr: bytes
    giaddr: bytes
    chaddr: bytes
    kind: int
    options: tuple[tuple[int, bytes], ...]

    def option(self, code: int) -> bytes | None:
        """The last value of that option, as the bootloader reads them in order."""
        found = None
        for number, value in self.options:
            if number == code:
                found = value
        return found

    def address(self, code: int) -> bytes:
        """An option that holds one address or more: the first; zeros when absent or short."""
        value = self.option(code) or b""
        return value[:4] if len(value) >= 4 else NO_IP


def discover(who: Identity, xid: int, *, class_last: bool = False) -> bytes:
    """The 322-byte DISCOVER. class_last: option 60 behind 97, as in 2019 (EE#58 capture)."""
    kind, pxe_class = (53, bytes((DISCOVER,))), (60, VENDOR_CLASS)
    rest = ((93, b"\0\0"), (94, b"\x01\x02\x01"), (97, who.guid()))
    asked = (kind, (55, PARAMETERS), *((*rest, pxe_class) if class_last else (pxe_class, *rest)))
    return _message(who, xid, NO_IP) + _options(*asked)


def request(who: Identity, xid: int, offer: Reply, *, with_class: bool = True) -> bytes:
    """The 309-byte REQUEST; it repeats the OFFER's siaddr (inferred from the same capture) and has no 55, 93, 94.

    with_class: option 60, which early releases left out (EE#87).
    """
    pxe_class = ((60, VENDOR_CLASS),) if with_class else ()
    asked = ((53, bytes((REQUEST,))), (50, offer.yiaddr), (54, offer.address(54)), *pxe_class, (97, who.guid()))
    return _message(who, xid, offer.siaddr) + _options(*asked)


def _message(who: Identity, xid: int, siaddr: bytes) -> bytes:
    # secs 0, flags 0 (a unicast answer is wanted), as captured.
    chaddr = who.mac.ljust(16, b"\0")
    return _FIXED.pack(1, 1, 6, 0, xid, 0, 0, NO_IP, NO_IP, siaddr, NO_IP, chaddr, b"", b"") + COOKIE


def _options(*pairs: tuple[int, bytes]) -> bytes:
    return b"".join(bytes((code, len(value))) + value for code, value in pairs) + b"\xff"


def read(payload: bytes, *, padding: bool = True) -> Reply | None:
    """A BOOTREPLY, None when it is not one. Cut options end the list; kind is 0 without option 53.

    padding: option 0 is known; without, it is read as an option like any other (EE#82).
    """
    if len(payload) < 240 or payload[0] != 2 or payload[236:240] != COOKIE:
        return None
    _op, htype, hlen, hops, xid, _secs, _flags, _ci, yiaddr, siaddr, giaddr, chaddr, _sname, _file = _FIXED.unpack_from(
        payload
    )
    if (htype, hlen) != (1, 6):
        return None
    options = read_options(payload[240:], end=255, padding=0 if padding else None)
    kind = next((value[0] for code, value in options if code == 53 and value), 0)
    return Reply(xid, hops, yiaddr, siaddr, giaddr, chaddr[:6], kind, options)


def read_options(data: bytes, *, end: int, padding: int | None) -> tuple[tuple[int, bytes], ...]:
    """Code, length, value triples until `end` or until something is cut short; `padding` is a code without length."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data) and data[at] != end and len(found) < _MOST_OPTIONS:
        if data[at] == padding:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            break
        found.append((data[at], data[at + 2 : at + 2 + data[at + 1]]))
        at += 2 + data[at + 1]
    return tuple(found)


def pxe_options(value: bytes) -> tuple[tuple[int, bytes], ...]:
    """The sub-options of option 43; zeros between them are padding (since 2020-01-17)."""
    return read_options(value, end=255, padding=0)


def offers_boot(value: bytes, wanted: bytes, menus: str = "any") -> bool:
    """Whether option 43 names the Pi: a menu entry (sub-option 9) that contains the string, or the raw text alone.

    menus: as in Release. An entry is a type of two octets, a length and its text (PXE 2.1, 2.2.3).
    """
    menu = next((text for code, text in pxe_options(value) if code == 9), b"")
    if menus != "any":
        first = menu[3 : 3 + menu[2]] if len(menu) > 2 else b""
        return (first or value) == wanted if menus == "exact" else (first or value).startswith(wanted)
    return wanted in menu or value.startswith(wanted)


def dotted(text: bytes) -> bytes | None:
    """An address from dotted-decimal text, trailing NULs (dnsmasq) and spaces ignored; None for a host name."""
    parts = text.rstrip(b"\0 ").split(b".")
    if len(parts) != 4 or not all(part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts):
        return None
    return bytes(int(part) for part in parts)


def address_text(address: bytes) -> str:
    return ".".join(str(octet) for octet in address)
