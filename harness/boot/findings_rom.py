# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings of boards with a boot ROM (2B v1.2, 3B, 3B+): what their first stages cannot take, and nobody tells.

Facts: raspberrypi/documentation boot-net (known problems of the 3B's ROM); FW#670 (other subnet), FW#862, FW#894 (an OFFER is
not acted on), FW#937, FW#941 (three spaces), FW#1081 (five tries), FW#1913 (no option support), raspberrypi/linux#1638 (relay).
"""

import ipaddress
from collections.abc import Iterator

from harness.boot.dhcp import MENU_TEXT, MENU_TEXT_ROM, UNSET, address
from harness.boot.facts import Facts, packet
from harness.boot.identity import ROM_XID
from harness.boot.record import DhcpExchange, DhcpStep, Evidence, Finding, TftpTransfer
from harness.models import MODELS

TRIES = 5  # C: five DISCOVERs, 5 s apart, then silence; users counted four or five (FW#1081)

#: Their ROM has the faults that the 3B+ lost.
_OLD_ROM = frozenset({"pi2b", "pi3b"})


def is_rom(exchange: DhcpExchange) -> bool:
    """Whether boot ROM or bootcode.bin asked."""
    return exchange.xid == ROM_XID and exchange.client == "firmware"


def rom_offer(facts: Facts, exchange: DhcpExchange) -> Iterator[Finding]:
    """Why the OFFERs of this exchange were of no use to the old boot ROM; nothing for others."""
    if not is_rom(exchange) or not _old_rom(facts, exchange):
        return
    offers = [m for m in exchange.messages if m.type in {"OFFER", "BOOTREPLY"}]
    found = list(_reasons(exchange, offers))
    yield from found
    if not found and offers and exchange.tftp_server is not None and exchange.address is not None:
        yield _finding(
            "rom-deaf",
            f"{_who(exchange)} made a good OFFER, and the boot ROM did not act on it: it waits for another packet after it",
            "make the answer come later: dhcp-reply-delay=1 (dnsmasq 2.77 and later), or boot from an SD card that holds "
            "bootcode.bin alone",
            offers,
        )


def _old_rom(facts: Facts, exchange: DhcpExchange) -> bool:
    if facts.expectation.model in MODELS:
        return facts.expectation.model in _OLD_ROM and exchange.asked_by in {"rom", ""}
    return any(m.length == 320 for m in exchange.messages)


def _who(exchange: DhcpExchange) -> str:
    return ", ".join(exchange.servers_seen) or "a server"


def _reasons(exchange: DhcpExchange, offers: list[DhcpStep]) -> Iterator[Finding]:
    menus = [bytes.fromhex(value) for m in offers for code, value in m.options if code == 43]
    plain = any(MENU_TEXT in value for value in menus) and not any(MENU_TEXT_ROM in value for value in menus)
    if plain and exchange.tftp_from != "option 66":
        yield _finding(
            "rom-menu-spaces",
            "option 43 says 'Raspberry Pi Boot' without the three spaces that this boot ROM wants behind it",
            'write pxe-service=0,"Raspberry Pi Boot   " (dnsmasq), with three spaces before the closing quote',
            offers,
        )
    relayed = [m for m in offers if m.hops or m.giaddr != UNSET]
    if relayed and len(relayed) == len(offers):
        yield _finding(
            "rom-relay",
            f"the OFFER came through a DHCP relay ({relayed[0].giaddr}): this boot ROM drops those",
            "put a DHCP server into the board's own network (a proxy with dhcp-range=NETWORK,proxy will do), or boot from "
            "an SD card that holds bootcode.bin alone",
            relayed,
        )
    if (far := _off_subnet(exchange, offers)) is not None:
        yield _finding(
            "rom-off-subnet",
            f"the TFTP server {exchange.tftp_server} is outside the board's network {far}: this boot ROM knows no gateway",
            "put the TFTP server into the same subnet as the board",
            offers,
        )


def _off_subnet(exchange: DhcpExchange, offers: list[DhcpStep]) -> str | None:
    """The board's network, when the TFTP server is known to be outside of it."""
    masks = [address(bytes.fromhex(value)) for m in offers for code, value in m.options if code == 1]
    if exchange.tftp_server is None or exchange.address is None or not masks or masks[-1] is None:
        return None
    try:
        network = ipaddress.ip_network(f"{exchange.address}/{masks[-1]}", strict=False)
        return None if ipaddress.ip_address(exchange.tftp_server) in network else str(network)
    except ValueError:  # a mask that is none
        return None


def _finding(identity: str, title: str, remedy: str, messages: list[DhcpStep], *, stage: str = "dhcp") -> Finding:
    return Finding(
        id=identity,
        title=title,
        stage=stage,
        who="server",
        remedy=remedy,
        evidence=tuple(
            Evidence(source="packet", ref=m.packet, t=m.t, text=f"DHCP {m.type} from {m.src_ip}") for m in messages[:4]
        ),
    )


def rom_gave_up(facts: Facts) -> Iterator[Finding]:
    """Five requests, and then the ROM sleeps until the power is switched."""
    if facts.failed != "dhcp":
        return
    for exchange in facts.firmware_dhcp()[-1:]:
        if is_rom(exchange) and exchange.discovers >= TRIES and not exchange.servers_seen:
            yield _finding(
                "rom-gave-up",
                f"the boot ROM asked {exchange.discovers} times and will not ask again before the next power-on",
                "have server and switch port ready before the board gets power (portfast/edge: 30 s of spanning tree are "
                "longer than the ROM's patience), then switch the board off and on",
                [m for m in exchange.messages if m.type == "DISCOVER"][-4:],
            )


def without_options(facts: Facts) -> tuple[TftpTransfer, ...]:
    """What start.elf or start4.elf asked of a TFTP server without RFC 2347, and was answered by DATA; else nothing."""
    asked = [t for t in facts.tftp if t.asked_by in {"start.elf", "start4.elf"}]
    # A probe is ended by the first DATA, which it does not acknowledge.
    answered = (t for t in asked if t.blocks or t.result in {"early terminate", "client error"})
    plain = tuple(t for t in answered if not t.oack and t.server_port)
    return () if any(t.oack for t in asked) else plain


def no_option_support(facts: Facts) -> Iterator[Finding]:
    """A TFTP server without RFC 2347: start.elf takes every file for missing, start4.elf ignores config.txt."""
    plain = without_options(facts)
    if plain:
        first = plain[0]
        failed = facts.failed in {"firmware", "kernel"}
        does = "takes every file for missing" if first.asked_by == "start.elf" else "ignores config.txt"
        yield Finding(
            id="tftp-no-options",
            title=f"the TFTP server {first.server_ip} does not answer options (no OACK): {first.asked_by} then {does}",
            stage="firmware",
            who="server",
            remedy="use a TFTP server that knows RFC 2347 (dnsmasq, tftpd-hpa, atftpd)",
            severity="fault" if failed else "warning",
            evidence=tuple(packet(transfer) for transfer in plain[:3]),
        )
