# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP messages -> exchanges (RFC 2131): who asked, who answered, where the boot server's address came from."""

from collections.abc import Iterable

from harness.boot.events import DhcpMessage
from harness.boot.record import DhcpExchange, DhcpStep

MENU_TEXT = b"Raspberry Pi Boot"  # the PXE menu text that a Pi looks for in option 43 (boot-net documentation)
UNSET = "0.0.0.0"  # noqa: S104 - "no address" in BOOTP; nothing is bound to it


def client_kind(vendor_class: str) -> str:
    """Which program asks, by its option 60. A Pi's firmware says what an x86 BIOS would say (EE#182)."""
    if vendor_class.startswith("PXEClient:Arch:00000:UNDI:002001"):
        return "firmware"
    if vendor_class.startswith("PXEClient:Arch:"):
        return "uefi"
    if vendor_class.startswith("U-Boot"):
        return "u-boot"
    if vendor_class.startswith("iPXE"):
        return "ipxe"
    return "os"


def exchanges(messages: Iterable[DhcpMessage]) -> tuple[DhcpExchange, ...]:
    """Group by client and xid, in the order of the first message.

    A boot ROM reuses one xid for ever, so a DISCOVER that comes after files were fetched in between cannot be told apart
    here: the whole of one xid and class is one exchange.
    """
    groups: dict[tuple[int, str, str], list[DhcpMessage]] = {}
    classes: dict[tuple[int, str], str] = {}
    for message in messages:
        if message.from_client:
            text = (message.option(60) or b"").decode("ascii", "backslashreplace")
            known = classes.get((message.xid, message.chaddr), "")
            classes[message.xid, message.chaddr] = text or known
        vendor_class = classes.get((message.xid, message.chaddr), "")
        groups.setdefault((message.xid, message.chaddr, vendor_class), []).append(message)
    return tuple(_exchange(group, key[2]) for key, group in groups.items())


def _exchange(group: list[DhcpMessage], vendor_class: str) -> DhcpExchange:
    client = client_kind(vendor_class)
    offers = [m for m in group if m.type in {"OFFER", "BOOTREPLY"}]
    acks = [m for m in group if m.type == "ACK"]
    naks = [m for m in group if m.type == "NAK"]
    leases = acks or [m for m in offers if m.yiaddr != UNSET]
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
        client=client,
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
        vendor_class=vendor_class,
        servers_seen=tuple(dict.fromkeys(_server_of(m) for m in group if not m.from_client)),
        discovers=sum(m.type == "DISCOVER" for m in group),
        messages=tuple(_step(m) for m in group),
    )


def _server_of(message: DhcpMessage) -> str:
    return address(message.option(54)) or message.src_ip


def address(value: bytes | None) -> str | None:
    """Four octets as dotted text; None when there are not four."""
    return ".".join(str(octet) for octet in value) if value is not None and len(value) == 4 else None


def _boot_server(answers: list[DhcpMessage]) -> tuple[str | None, str | None]:
    """Option 66 as dotted decimal wins; else the server of an answer with the menu text in option 43: its siaddr, or source.

    Accepted forms: raspberrypi/documentation boot-net; FW#764, FW#937; EE#376.
    """
    for message in answers:
        text = (message.option(66) or b"").rstrip(b"\0").decode("ascii", "replace")
        if text and is_dotted(text):
            return text, "option 66"
    for message in answers:
        if MENU_TEXT in b"".join(value for code, value in message.options if code == 43):
            server = message.siaddr if message.siaddr != UNSET else message.src_ip
            return server, "option 43"
    return None, None


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
        options=tuple((code, value.hex()) for code, value in message.options),
    )
