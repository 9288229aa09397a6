# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings of the network stages: power, link, DHCP, TFTP.

Facts: raspberrypi/documentation, boot-net and eeprom-bootloader.
"""

from collections.abc import Callable, Iterator

from harness.boot.dhcp import MENU_TEXT, is_dotted
from harness.boot.facts import Facts, line, packet
from harness.boot.files import missed
from harness.boot.findings_http import http_boot
from harness.boot.findings_rom import is_rom, no_option_support, rom_gave_up, rom_offer, without_options
from harness.boot.marks import STRANGERS
from harness.boot.record import DhcpExchange, Evidence, Finding, TftpTransfer
from harness.models import MODELS


def no_sign_of_life(facts: Facts) -> Iterator[Finding]:
    """Power on, and then nothing at all."""
    if facts.failed == "link" and not facts.saw_board:
        banner = facts.first("bootloader.banner", "bootloader.mode")
        last = facts.first("net.wait_link") or banner
        if last is not None:
            yield Finding(
                id="no-link",
                title="the bootloader runs, but its network link did not come up",
                stage="link",
                who="lab",
                remedy="check the cable, the switch port (portfast/edge, no spanning-tree delay), and BOOT_ORDER (0xf2)",
                evidence=(line(last),),
            )
        else:
            yield Finding(
                id="no-sign-of-life",
                title="after power-on nothing came from the board: no packet on the wire, no line on the console",
                stage="link",
                who="lab",
                remedy="check the power supply and the port, the console wiring and BOOT_UART=1, and the board itself",
            )


def dhcp_unanswered(facts: Facts) -> Iterator[Finding]:
    """DISCOVERs, and no OFFER that a Pi could take."""
    if facts.failed not in {"dhcp", "firmware"}:
        return
    for exchange in facts.firmware_dhcp()[-1:]:
        evidence = _messages(exchange)
        if not exchange.servers_seen:
            yield Finding(
                id="dhcp-no-answer",
                title=f"no DHCP server answered {exchange.discovers} DISCOVER(s) of {exchange.mac}",
                stage="dhcp",
                who="server",
                remedy="check that the DHCP server runs and listens on this network (dnsmasq: interface=, "
                "journalctl -u dnsmasq), has an address left (`no address available` in its log), and that no firewall "
                "drops UDP 67/68",
                evidence=evidence,
            )
        elif exchange.result == "nak":
            yield Finding(
                id="dhcp-nak",
                title=f"the DHCP server {exchange.servers_seen[0]} refused the address (NAK)",
                stage="dhcp",
                who="server",
                remedy="check its ranges and reservations for this MAC; with several servers, make one authoritative",
                evidence=evidence,
            )
        elif exchange.result == "offer only" and (facts.failed == "dhcp" or is_rom(exchange)):
            of_rom = list(rom_offer(facts, exchange))
            yield from of_rom
            if not of_rom and (facts.failed == "dhcp" or exchange.tftp_server is None):
                yield _unusable(exchange, evidence)


def _unusable(exchange: DhcpExchange, evidence: tuple[Evidence, ...]) -> Finding:
    servers = ", ".join(exchange.servers_seen)
    options = [
        (code, bytes.fromhex(value)) for m in exchange.messages if m.type == "OFFER" for code, value in m.options
    ]
    text66 = next(
        (value.rstrip(b"\0").decode("ascii", "backslashreplace") for code, value in options if code == 66), None
    )
    value43 = next((value for code, value in options if code == 43), None)
    if text66 is not None and not is_dotted(text66):
        title, remedy = (
            f"the OFFER names the TFTP server as {text66!r}: a Pi understands dotted decimal only",
            "give option 66 as an address, e.g. dhcp-option=66,10.0.0.2",
        )
    elif value43 is not None and MENU_TEXT not in value43:
        title, remedy = (
            "the OFFER's option 43 does not hold the text 'Raspberry Pi Boot': the board ignores it",
            'add pxe-service=0,"Raspberry Pi Boot" (first, for old bootloaders), or the TFTP server as option 66',
        )
    elif exchange.tftp_server is None:
        title, remedy = (
            f"{servers} offered an address, but no boot server: neither option 66 nor option 43 in any OFFER",
            'add pxe-service=0,"Raspberry Pi Boot" to dnsmasq, or the TFTP server as option 66; siaddr alone is too little',
        )
    elif exchange.address is None:
        title, remedy = (
            f"{servers} told the boot server, but nobody offered an address",
            "check that the lease server has a free range for this network (proxy DHCP alone gives no address)",
        )
    elif is_rom(exchange):
        title, remedy = (
            f"{servers} made a good OFFER, and the board did not go on",
            "look for a second server's OFFER behind it, and for ARP requests of the board that nobody answered",
        )
    else:
        title, remedy = (
            f"{servers} made a good OFFER, but did not acknowledge the REQUEST",
            "look at the server's log for this MAC; check that broadcasts from 0.0.0.0 reach it",
        )
    return Finding(id="dhcp-offer-unusable", title=title, stage="dhcp", who="server", remedy=remedy, evidence=evidence)


def strange_servers(facts: Facts) -> Iterator[Finding]:
    """Somebody answered who should not."""
    expected = facts.expectation.server.dhcp
    if not expected:
        return
    for exchange in facts.dhcp:
        strange = [server for server in exchange.servers_seen if server not in expected]
        if strange:
            answers = [m for m in exchange.messages if (m.server_id or m.src_ip) in strange]
            who = ", ".join(f"{m.server_id or m.src_ip} ({m.src_mac})" for m in answers[:1]) or ", ".join(strange)
            yield Finding(
                id="dhcp-strange-server",
                title=f"a DHCP server that is not in lab.yaml answered too: {who}",
                stage="dhcp",
                who="network",
                remedy=f"switch it off, or add it to `dhcp:` of the server in lab.yaml (now: {', '.join(expected)})",
                severity="fault" if facts.failed in {"dhcp", "firmware"} else "warning",
                evidence=tuple(
                    Evidence(source="packet", ref=m.packet, t=m.t, text=f"DHCP {m.type} from {m.src_ip} {m.src_mac}")
                    for m in answers[:3]
                ),
            )
            return


def missing_files(facts: Facts) -> Iterator[Finding]:
    """Files without which the board cannot go on, that the server refused."""
    model = MODELS.get(facts.expectation.model)
    if model is None or facts.failed not in {"firmware", "kernel"}:
        return
    if any(transfer.asked_by == "start.elf" for transfer in without_options(facts)):
        return  # it took for missing what is there
    start_elfs = tuple(dict.fromkeys((model.start_elf, "start.elf"))) if model.start_elf else ()
    groups: list[tuple[tuple[str, ...], str]] = [(start_elfs, "firmware")] if start_elfs else []
    if model.bootloader == "rom":
        groups.insert(0, (("bootcode.bin",), "firmware"))
    groups.append(((model.dtb,), "device tree"))
    groups.append((model.kernels, "kernel"))
    for names, what in groups:
        refused = facts.refused(*names)
        if refused and not _kernel_under_other_name(facts, what):
            first = refused[0]
            root = facts.expectation.server.tftp_root
            prefix = facts.expectation.server.prefix
            where = f"{root}/{prefix or ''}" if root else f"the TFTP server's folder {prefix}" if prefix else ""
            if names == ("bootcode.bin",):
                where = root or "the TFTP root"  # a boot ROM knows no folders
            where = where or f"the TFTP root, or its folder {facts.expectation.serial_number or 'of this board'}/,"
            title = f"the server has no {what} for this board: {', '.join(dict.fromkeys(t.path for t in refused))}"
            if first.result == "refused":
                title = f"the server refused the {what} {first.path}: ERROR {first.error_code} {first.error_text}"
            yield Finding(
                id=f"{what.replace(' ', '-')}-missing",
                title=title,
                stage="firmware",
                who="server",
                remedy=f"put {names[0]} into {where} and make it readable for the TFTP server",
                evidence=tuple(packet(transfer) for transfer in refused[:4]),
            )
            return


def _kernel_under_other_name(facts: Facts, what: str) -> bool:
    """config.txt may name any kernel: its default names are then refused without harm."""
    return what == "kernel" and facts.first("kernel.start") is not None


def files_missed(facts: Facts) -> Iterator[Finding]:
    """Files that the board went on without, although it wanted them: an overlay, cmdline.txt, the device tree."""
    if facts.failed == "firmware":
        return
    asked = (t for t in facts.tftp if t.asked_by not in STRANGERS)
    gone = missed(facts.expectation.model, asked, has_kernel=facts.first("kernel.start") is not None)
    if gone:
        yield Finding(
            id="files-missing",
            title=f"the server did not have {', '.join(dict.fromkeys(t.path for t in gone[:8]))}",
            stage="firmware",
            who="server",
            remedy="put them where the board asks for them, or take them out of config.txt",
            severity="warning",
            evidence=tuple(packet(transfer) for transfer in gone[:8]),
        )


def os_dhcp_unanswered(facts: Facts) -> Iterator[Finding]:
    """The bootloader got its address, the running system got none: its request looks different to the server."""
    asked = [exchange for exchange in facts.dhcp if exchange.client == "os"]
    if asked and asked[-1].result in {"no answer", "offer only", "nak"} and facts.failed not in {"dhcp", "firmware"}:
        last = asked[-1]
        yield Finding(
            id="os-dhcp-no-answer",
            title=f"the running system ({last.asked_by or 'os'}) asked {last.discovers} times for an address: {last.result}",
            stage="initramfs",
            who="server",
            remedy="check that the DHCP server also answers clients without the PXE class, and the range's size",
            severity="fault" if facts.failed in {"initramfs", "root"} else "warning",
            evidence=_messages(last),
        )


def transfers_broken(facts: Facts) -> Iterator[Finding]:
    """Transfers that began and did not end, or requests that nobody answered."""
    if facts.failed != "firmware":
        return
    broken = [t for t in facts.tftp if t.result in {"timeout", "incomplete"}]
    if not broken:
        return
    silent = [t for t in broken if t.bytes == 0 and not t.oack]
    cut = [t for t in broken if t not in silent]
    if cut:
        worst = cut[-1]
        yield Finding(
            id="tftp-broken-off",
            title=f"the TFTP server fell silent in the middle of {worst.path} after {worst.bytes} of "
            f"{worst.tsize if worst.tsize is not None else 'unknown'} bytes",
            stage="firmware",
            who="server",
            remedy="check that the TFTP server still runs (dnsmasq: journalctl -u dnsmasq) and the network between",
            evidence=tuple(packet(transfer) for transfer in cut[-3:]),
        )
    else:
        worst = silent[-1]
        yield Finding(
            id="tftp-no-answer",
            title=f"nobody answered the TFTP request for {worst.path} at {worst.server_ip}",
            stage="firmware",
            who="server",
            remedy="check that the TFTP server runs at this address (dnsmasq: enable-tftp, tftp-root=), serves as many "
            "clients at once as there are (dnsmasq: tftp-max=, 50 by default), and that no firewall drops UDP 69",
            evidence=tuple(packet(transfer) for transfer in silent[-3:]),
        )


def retransmissions(facts: Facts) -> Iterator[Finding]:
    """More repeated blocks than a healthy wire has."""
    bad: list[TftpTransfer] = [t for t in facts.tftp if t.retransmissions > max(2, t.blocks // 100)]
    if bad:
        worst = max(bad, key=lambda transfer: transfer.retransmissions)
        yield Finding(
            id="tftp-retransmissions",
            title=f"{worst.retransmissions} retransmissions in {worst.path} ({worst.blocks} blocks)",
            stage="firmware",
            who="network",
            remedy="look for a bad cable, a duplex mismatch or an overloaded server",
            severity="warning",
            evidence=(packet(worst),),
        )


def _messages(exchange: DhcpExchange) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(source="packet", ref=m.packet, t=m.t, text=f"DHCP {m.type} from {m.src_ip}")
        for m in exchange.messages[:6]
    )


NET_RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    no_sign_of_life,
    dhcp_unanswered,
    rom_gave_up,
    strange_servers,
    no_option_support,
    missing_files,
    files_missed,
    http_boot,
    os_dhcp_unanswered,
    transfers_broken,
    retransmissions,
)
