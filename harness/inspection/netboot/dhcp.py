# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP as a board's firmware asks: the DISCOVER octet for octet, all OFFERs, and whether the firmware would go on with them.

No REQUEST is ever sent, so no lease is bound. What an answer says is read twice: by the emulator's rules, which say what the
board takes, and by the judge's, which say why not.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.boot import dhcp as judged
from harness.boot.events import DhcpMessage, Event
from harness.boot.expect import Expectation, ExpectedServer
from harness.boot.facts import Facts
from harness.boot.findings_net import dhcp_unanswered, strange_servers
from harness.boot.offer import differences, names_boot_server, option_text
from harness.boot.record import DhcpExchange, DhcpStep, Finding, Stage
from harness.emulator import dhcp
from harness.emulator.packets import NO_IP
from harness.inspection.netboot.card import Card
from harness.inspection.netboot.pi import Pi
from harness.inspection.netboot.seen import Answer, Ask
from harness.inspection.netboot.taking import Eeprom, Rom, off_its_network, taking_of
from harness.wire.decode import FrameDecoder

#: Seconds that answers are gathered at least: dnsmasq pings an address for 3 s before it offers it for the first time.
LEAST = 3.5
#: Seconds until a DISCOVER is repeated, as boards do it, and until no answer is awaited any more.
AGAIN, MOST = 4.0, 9.0


@dataclass(frozen=True)
class Window:
    """How long answers are awaited, seconds."""

    least: float = LEAST
    again: float = AGAIN
    most: float = MOST


@dataclass(frozen=True)
class Told:
    """ask: for the table."""

    ask: Ask
    findings: tuple[Finding, ...]


def programs_of(pi: Pi) -> tuple[str, ...]:
    """Which of the board's programs ask, in their order; nothing for a board with addresses of its own."""
    if not pi.is_rom:
        return () if pi.settings.eeprom.static else ("eeprom",)
    return ("bootcode.bin",) if pi.settings.otp.sd_card == "bootcode" else ("rom", "bootcode.bin")


def ask(pi: Pi, program: str, card: Card, expected: ExpectedServer, window: Window = Window()) -> Told:
    """One program's DISCOVER, and its answers."""
    taking = taking_of(pi, program)
    events: list[Event] = []
    decoder = FrameDecoder(None, events.append)
    begin = time.time() - time.monotonic()
    seen: set[bytes] = set()
    number, start, octets = 0, time.monotonic(), 0
    for begins, ends in ((0.0, window.again), (window.again, window.most)):
        if begins and taking.enough:
            break
        frame = taking.discover()
        octets = len(frame) - 42
        card.send(frame)
        number += 1
        decoder.frame(number, time.time(), frame)
        sent = time.monotonic()
        for got in card.frames(start + ends):
            number += 1
            now = time.monotonic()
            taking.hear(got, now - sent)
            if got not in seen:  # a server on this machine is asked twice, and answers twice
                seen.add(got)
                decoder.frame(number, begin + now, got)
            if taking.enough and now >= start + window.least:
                break
        if taking.enough:
            break
    mac = pi.settings.identity.mac_text
    # Of every DISCOVER the answers count from its own time on; a repeated one is one exchange.
    messages = [e for e in events if isinstance(e, DhcpMessage) and e.chaddr == mac and e.xid == taking.xid]
    return _told(pi, program, taking, messages, expected, octets)


def _told(
    pi: Pi, program: str, taking: Eeprom | Rom, messages: list[DhcpMessage], expected: ExpectedServer, octets: int
) -> Told:
    found = judged.exchanges(messages)
    exchange = _one(found)
    steps = exchange.messages if exchange is not None else ()
    takes = taking.enough
    findings = list(_findings(pi, program, exchange, expected, takes=takes))
    if expected.offer is not None:
        for what in differences(expected.offer, steps):
            findings.append(
                _finding("dhcp-offer-differs", f"the offer is not as lab.yaml describes it: {what}", warning=takes)
            )
    server = dhcp.address_text(taking.server) if taking.server != NO_IP else None
    if takes and expected.tftp is not None and server not in {None, expected.tftp}:
        findings.append(
            _finding(
                "dhcp-other-tftp", f"the board would ask {server} for its files, not {expected.tftp} as lab.yaml says"
            )
        )
    if takes and off_its_network(taking):
        address = dhcp.address_text(taking.address)
        findings.append(
            _finding(
                "dhcp-no-way",
                f"the TFTP server {server} is outside the board's network ({address}), and its {program} has no way there: "
                + ("it knows no gateway" if program == "rom" else "the offer names no router (option 3)"),
            )
        )
    why = "" if takes else "; ".join(f.title for f in findings if f.severity == "fault") or "no answer"
    told = Ask(
        program=program,
        octets=octets,
        answers=tuple(_answers(steps, expected)),
        takes=takes,
        address=dhcp.address_text(taking.address) if taking.address != NO_IP else None,
        tftp_server=server,
        why=why,
    )
    return Told(told, tuple(findings))


def _one(found: Sequence[DhcpExchange]) -> DhcpExchange | None:
    """A repeated DISCOVER of a boot ROM may look like another program's: what was answered counts, with all messages."""
    if not found:
        return None
    last = next((exchange for exchange in reversed(found) if exchange.servers_seen), found[-1])
    servers = dict.fromkeys(server for exchange in found for server in exchange.servers_seen)
    messages = tuple(message for exchange in found for message in exchange.messages)
    return last.model_copy(update={"messages": messages, "servers_seen": tuple(servers)})


def _answers(steps: Iterable[DhcpStep], expected: ExpectedServer) -> Iterable[Answer]:
    asked = 0.0
    known: set[tuple[str, str, str, str, tuple[tuple[int, str], ...]]] = set()
    for step in steps:
        if step.type == "DISCOVER":
            asked = step.t
            continue
        server = step.server_id or step.src_ip
        # Repeated answers to repeated questions say nothing new.
        key = (server, step.src_mac, step.type, step.yiaddr, step.options)
        if key in known:
            continue
        known.add(key)
        gives = [
            word
            for word, does in (("address", step.yiaddr != judged.UNSET), ("boot server", names_boot_server(step)))
            if does
        ]
        yield Answer(
            server=server,
            mac=step.src_mac,
            type=step.type,
            address=step.yiaddr,
            siaddr=step.siaddr,
            option_43=option_text(step, 43),
            option_66=option_text(step, 66),
            option_67=option_text(step, 67),
            gives=" + ".join(gives) or "nothing",
            seconds=round(max(0.0, step.t - asked), 4),
            described=server in expected.dhcp if expected.dhcp else None,
        )


def _findings(
    pi: Pi, program: str, exchange: DhcpExchange | None, expected: ExpectedServer, *, takes: bool
) -> Iterable[Finding]:
    if exchange is None:
        return
    exchange = exchange.model_copy(update={"asked_by": program, "client": "firmware"})
    facts = facts_of(pi, expected, "" if takes else "dhcp", dhcp=(exchange,))
    found = [*(() if takes else dhcp_unanswered(facts)), *strange_servers(facts)]
    if not takes and not any(one.id != "dhcp-strange-server" for one in found):
        found.append(_finding("dhcp-offer-unusable", "the answers are of no use to this board's firmware"))
    yield from found


def facts_of(pi: Pi, expected: ExpectedServer, failed: str, **more: object) -> Facts:
    """Facts for the judge's rules: a board that failed in that stage, "" for none."""
    made = pi.settings
    empty: dict[str, object] = {"dhcp": (), "tftp": (), "milestones": (), "root": None, "os": None, "console": None}
    empty |= {"ended": None, "capture": None, "fatal": None, "saw_board": True}
    return Facts(
        expectation=Expectation(
            board=made.name,
            model=made.model.name,
            serial_number=made.identity.serial_text,
            mac=made.identity.mac_text,
            server=expected,
        ),
        stages=(Stage(name=failed, verdict="failed"),) if failed else (),
        **{**empty, **more},  # type: ignore[arg-type]
    )


def _finding(identity: str, title: str, *, warning: bool = False) -> Finding:
    return Finding(
        id=identity,
        title=title,
        stage="dhcp",
        who="server",
        remedy="change the DHCP server, or `offer:` and `tftp:` of the server in lab.yaml",
        severity="warning" if warning else "fault",
    )
