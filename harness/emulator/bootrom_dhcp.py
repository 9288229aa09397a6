# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP of boot ROMs and of bootcode.bin: a DISCOVER, and OFFERs that are taken without a REQUEST.

DISCOVER, octet for octet: boot-net.adoc capture (2B, 3B), FW#871, FW#1605, FW#1265 (3B+, bootcode.bin). What makes an
OFFER acceptable: openSUSE/netboot-rpi3b, FW#764, FW#937, FW#941; a 3B+ with option 66 alone: EdgeRouter capture.
Reading never raises.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from harness.emulator import dhcp
from harness.emulator.dhcp import Identity, Reply
from harness.emulator.packets import NO_IP, Datagram

#: The same in every message of every board; dnsmasq prints it as 653460281.
XID = 0x26F30339
MENU = b"Raspberry Pi Boot"
_FIXED = struct.Struct(">BBBBIHH4s4s4s4s16s64s128s")
#: Vendor options, TFTP server and file, and seven numbers of the PXE range.
_PARAMETERS = bytes((43, 60, 67, 128, 129, 130, 131, 132, 133, 134, 135, 66))


@dataclass(frozen=True, slots=True)
class Client:
    """One program's way with DHCP.

    parameters: option 55; serial_guid: option 97 holds the serial number four times, else 16 times 0x44; menu: what
    option 43 must contain; last_wins: of options 43 and 66 in one OFFER the later one counts, else 66; nul: option 66
    may end with NULs; hears_early: an OFFER is acted on when it comes; relays: OFFERs that came through a relay are
    taken; routes: servers elsewhere are asked through the gateway; answers_arp: during transfers, too; tries: DISCOVERs;
    ports: source ports of the first requests.
    """

    parameters: bytes = _PARAMETERS + bytes((1, 3))
    serial_guid: bool = True
    menu: bytes = MENU
    last_wins: bool = False
    nul: bool = True
    hears_early: bool = True
    relays: bool = True
    routes: bool = True
    answers_arp: bool = True
    tries: int = 5
    ports: tuple[int, int] = (49153, 49154)  # FW#1041: bootcode.bin and bootsig.bin of a 3B+


#: 2B v1.2 and 3B with all bugs of their ROM (boot-net.adoc; FW#670, FW#764, FW#862, FW#894, FW#941).
OLD_ROM = Client(
    parameters=_PARAMETERS,
    serial_guid=False,
    menu=MENU + b"   ",
    last_wins=True,
    nul=False,  # I: FW#871 suspects a trailing NUL
    hears_early=False,
    relays=False,
    routes=False,
    answers_arp=False,
    ports=(49152, 49152),  # FW#745: a 3B asks for both files from one port
)
#: The same ROM if it had no bugs: its packets and what it looks for stay as they are.
LENIENT_ROM = Client(parameters=_PARAMETERS, serial_guid=False, menu=MENU + b"   ", last_wins=True, ports=OLD_ROM.ports)
#: 3B+ (boot-net.adoc: it has none of the 3B's bugs; the OFFER's address is still used without a REQUEST).
NEW_ROM = Client()
#: bootcode.bin of any of them: I, that it is as forgiving as the 3B+'s ROM; it goes on for about a minute (FW#1124).
BOOTCODE = Client(tries=12)


def client_of(model: str, *, strict: bool) -> Client:
    """The ROM of a model: "pi2b", "pi3b" or "pi3bplus"."""
    if model == "pi3bplus":
        return NEW_ROM
    return OLD_ROM if strict else LENIENT_ROM


def discover(who: Identity, client: Client) -> bytes:
    """The BOOTP message: 320 octets from a 2B or 3B, 322 from a 3B+ and from bootcode.bin."""
    guid = who.serial.to_bytes(4, "little") * 4 if client.serial_guid else b"\x44" * 16
    fixed = _FIXED.pack(
        1, 1, 6, 0, XID, 0, 0, NO_IP, NO_IP, NO_IP, NO_IP, who.mac.ljust(16, b"\0"), b"", b""
    )  # fmt: skip
    options: Mapping[int, bytes] = {
        53: bytes((dhcp.DISCOVER,)),
        55: client.parameters,
        93: b"\0\0",
        94: b"\x01\x02\x01",
        97: b"\0" + guid,
        60: dhcp.VENDOR_CLASS,
    }
    listed = b"".join(bytes((code, len(value))) + value for code, value in options.items())
    return fixed + dhcp.COOKIE + listed + b"\xff"


def reply_to(who: Identity, datagram: Datagram) -> Reply | None:
    """The DHCP reply in a datagram when it is for this board."""
    if datagram.dport != dhcp.CLIENT_PORT:
        return None
    reply = dhcp.read(datagram.payload)
    return reply if reply is not None and reply.xid == XID and reply.chaddr == who.mac else None


@dataclass(slots=True)
class Offers:
    """What the OFFERs of one attempt have said so far. ip: the board's; server: where the files are; zeros: not known.

    mask, gateway: as the OFFER that gave the address has them.
    """

    client: Client
    ip: bytes = NO_IP
    mask: bytes = NO_IP
    gateway: bytes = NO_IP
    server: bytes = NO_IP

    @property
    def enough(self) -> bool:
        return NO_IP not in (self.ip, self.server)

    def take(self, reply: Reply, source: bytes) -> None:
        """source: the IP address that the OFFER came from. siaddr and option 67 are not looked at (FW#801, FW#1370)."""
        if reply.kind != dhcp.OFFER:
            return
        if not self.client.relays and (reply.hops or reply.giaddr != NO_IP):
            return
        if reply.yiaddr != NO_IP:
            self.ip, self.mask, self.gateway = reply.yiaddr, reply.address(1), reply.address(3)
        server = named_server(reply, self.client, source)
        if server is not None:
            self.server = server


def named_server(reply: Reply, client: Client, source: bytes) -> bytes | None:
    """Where an OFFER says that the files are: option 66 in dotted decimals, or whoever sent an option 43 that fits."""
    by_66: bytes | None = None
    last: bytes | None = None
    for code, value in reply.options:
        found = None
        if code == 66 and (client.nul or b"\0" not in value):
            found = dhcp.dotted(value)
            by_66 = found or by_66
        elif code == 43 and client.menu in value:
            found = source
        last = found or last
    return last if client.last_wins else by_66 or last
