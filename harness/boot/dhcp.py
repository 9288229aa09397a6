# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP messages -> exchanges (RFC 2131): who asked, who answered, where the boot server's address came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.boot.events import DhcpMessage, TransferStarted
from harness.boot.identity import ROM_XID, Sender, sender
from harness.boot.record import DhcpExchange, DhcpStep

MENU_TEXT = b"Raspberry Pi Boot"  # the PXE menu text that a Pi looks for in option 43 (boot-net documentation)
MENU_TEXT_ROM = MENU_TEXT + b"   "  # the ROM of a 2B v1.2 or 3B wants three spaces behind it (boot-net; FW#941)
UNSET = "0.0.0.0"  # noqa: S104 - "no address" in BOOTP; nothing is bound to it

#: The ROM's stack repeats a DISCOVER after 5 s (FW#764); one that comes earlier after a good OFFER is bootcode.bin's own
#: (104 ms after bootcode.bin ended, in the log of a 3B+).
_ROM_REPEATS = 4.5


@dataclass
class _Group:
    """Messages of one exchange so far."""

    sender: Sender
    vendor_class: str = ""
    messages: list[DhcpMessage] = field(default_factory=list)

    @property
    def asked(self) -> list[DhcpMessage]:
        return [message for message in self.messages if message.from_client]


def exchanges(messages: Iterable[DhcpMessage], started: Sequence[TransferStarted] = ()) -> tuple[DhcpExchange, ...]:
    """Group by client and xid, in the order of the first message.

    Boot ROM and bootcode.bin share one xid for ever: their exchanges are told apart by the files that were asked for in
    between (`started`), by the form of the DISCOVER, and where no file is seen by time.
    """
    groups: list[_Group] = []
    current: dict[tuple[int, str], _Group] = {}
    for message in messages:
        key = (message.xid, message.chaddr)
        group = current.get(key)
        if message.from_client:
            who = sender(message)
            says = (message.option(60) or b"").decode("ascii", "backslashreplace")
            if group is None or (_is_new(group, message, who, started) and group.asked):
                group = current[key] = _Group(who)
                groups.append(group)
            elif not group.asked:
                group.sender = who
            group.vendor_class = says or group.vendor_class
        elif group is None:
            group = current[key] = _Group(Sender("os", "", "answers only"))
            groups.append(group)
        group.messages.append(message)
    found: list[DhcpExchange] = []
    for index, group in enumerate(groups):
        later = next((g for g in groups[index + 1 :] if g.messages[0].chaddr == group.messages[0].chaddr), None)
        program = group.sender.program or _program(group, later, found, started)
        found.append(_exchange(group, program))
    return tuple(found)


def _is_new(group: _Group, message: DhcpMessage, who: Sender, started: Sequence[TransferStarted]) -> bool:
    if who.kind != group.sender.kind:
        # Early EEPROM bootloaders left option 60 out of the REQUEST (EE#87): a request that says nothing adds nothing.
        return message.option(60) is not None
    if message.xid != ROM_XID:
        return _renews(message) and any(one.type == "ACK" for one in group.messages)
    last = group.asked[-1] if group.asked else message
    if (last.length, last.option(55)) != (message.length, message.option(55)):
        return True
    own = _asked_for(started, message.chaddr)
    if own:
        return any(group.messages[-1].t <= start.t <= message.t for start in own)
    answered = any(_boot_server([m], strict=False)[0] for m in group.messages if not m.from_client)
    return answered and message.t - last.t < _ROM_REPEATS


def _renews(message: DhcpMessage) -> bool:
    """RFC 2131 4.3.2: it names its address in ciaddr, not in option 50, and no server. udhcpc keeps its first xid for it."""
    named = message.option(50) is not None or message.option(54) is not None
    return message.type == "REQUEST" and message.ciaddr != UNSET and not named


def _asked_for(started: Sequence[TransferStarted], mac: str) -> list[TransferStarted]:
    return [start for start in started if start.client_mac in {"", mac}]


def _program(
    group: _Group, later: _Group | None, before: list[DhcpExchange], started: Sequence[TransferStarted]
) -> str:
    """Which of ROM and bootcode.bin asked, when the request alone does not tell: by the files that it then fetched."""
    if group.sender.kind != "firmware":
        return ""
    mac, first = group.messages[0].chaddr, group.messages[0].t
    until = later.messages[0].t if later is not None else float("inf")
    after = [start for start in _asked_for(started, mac) if first <= start.t < until]
    if after:
        return "bootcode.bin" if after[0].asked_by == "start.elf" else after[0].asked_by
    if group.messages[0].xid == ROM_XID and any(one.mac == mac and one.asked_by == "rom" for one in before):
        return "bootcode.bin"
    return ""


def _exchange(gathered: _Group, program: str) -> DhcpExchange:
    group = gathered.messages
    offers = [m for m in group if m.type in {"OFFER", "BOOTREPLY"}]
    acks = [m for m in group if m.type == "ACK"]
    naks = [m for m in group if m.type == "NAK"]
    leases = acks or [m for m in offers if m.yiaddr != UNSET]
    if group[0].xid == ROM_XID:
        tftp_server, tftp_from = _boot_server_of_rom(offers, strict=wants_spaces(group))
    else:
        tftp_server, tftp_from = _boot_server(offers + acks)
    if acks:
        result = "ack"
    elif naks:
        result = "nak"
    elif offers:
        result = "offer only"
    else:
        result = "no answer" if any(m.from_client for m in group) else "incomplete"
    last = acks[-1] if acks else group[-1]
    return DhcpExchange(
        client=gathered.sender.kind,
        asked_by=program,
        xid=group[0].xid,
        mac=group[0].chaddr,
        start=group[0].t,
        end=last.t,
        duration_s=round(last.t - group[0].t, 6),
        result=result,
        address=leases[-1].yiaddr if leases else None,
        server=_server_of(leases[-1]) if leases else None,
        tftp_server=tftp_server,
        tftp_from=tftp_from,
        vendor_class=gathered.vendor_class,
        servers_seen=tuple(dict.fromkeys(_server_of(m) for m in group if not m.from_client)),
        discovers=sum(m.type == "DISCOVER" for m in group),
        messages=tuple(_step(m) for m in group),
    )


def _server_of(message: DhcpMessage) -> str:
    return address(message.option(54)) or message.src_ip


def address(value: bytes | None) -> str | None:
    """Four octets as dotted text; None when there are not four."""
    return ".".join(str(octet) for octet in value) if value is not None and len(value) == 4 else None


def wants_spaces(messages: Sequence[DhcpMessage]) -> bool:
    """Whether these are of the old boot ROM (320 octets, twelve options wanted): it wants the spaces behind the text."""
    return any(message.from_client and message.length == 320 for message in messages)


def names_server(message: DhcpMessage) -> str | None:
    """The TFTP server that this answer names to a Pi."""
    return _boot_server([message])[0]


def _named_by_66(message: DhcpMessage) -> str | None:
    text = (message.option(66) or b"").rstrip(b"\0").decode("ascii", "replace")
    return text if text and is_dotted(text) else None


def _boot_server(answers: list[DhcpMessage], *, strict: bool = False) -> tuple[str | None, str | None]:
    """Option 66 as dotted decimal wins; else the server of an answer with the menu text in option 43: its siaddr, or source.

    Accepted forms: raspberrypi/documentation boot-net; FW#764, FW#937; EE#376.
    """
    for message in answers:
        if named := _named_by_66(message):
            return named, "option 66"
    wanted = MENU_TEXT_ROM if strict else MENU_TEXT
    for message in answers:
        if wanted in b"".join(value for code, value in message.options if code == 43):
            server = message.siaddr if message.siaddr != UNSET else message.src_ip
            return server, "option 43"
    return None, None


def _boot_server_of_rom(answers: list[DhcpMessage], *, strict: bool) -> tuple[str | None, str | None]:
    """With 43 the server is the packet's source, siaddr is ignored (FW#801). strict, the ROM of a 2B or 3B: options 43 and 66
    in the order of the packet, the last one wins (openSUSE/netboot-rpi3b), which later programs do not do: 66 wins.
    """
    if not strict:
        for message in answers:
            if named := _named_by_66(message):
                return named, "option 66"
    found: tuple[str | None, str | None] = (None, None)
    wanted = MENU_TEXT_ROM if strict else MENU_TEXT
    for message in answers:
        for code, value in message.options:
            if code == 43 and wanted in value:
                found = message.src_ip, "option 43"
            elif code == 66 and (named := _named_by_66(message)):
                found = named, "option 66"
    return found


def is_dotted(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(p.isascii() and p.isdigit() and len(p) <= 3 and int(p) <= 255 for p in parts)


def _step(message: DhcpMessage) -> DhcpStep:
    return DhcpStep(
        t=message.t,
        packet=message.packet,
        type=message.type,
        src_ip=message.src_ip,
        src_mac=message.src_mac,
        yiaddr=message.yiaddr,
        siaddr=message.siaddr,
        server_id=address(message.option(54)),
        hops=message.hops,
        giaddr=message.giaddr,
        length=message.length,
        options=tuple((code, value.hex()) for code, value in message.options),
    )
