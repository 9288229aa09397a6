# SPDX-License-Identifier: GPL-2.0-or-later
"""The packets of one boot -> how far it came, and what they tell of the bootloader's release."""

from collections.abc import Sequence

from harness.analyze.progress import Progress
from harness.boot.dhcp import exchanges
from harness.boot.events import (
    DhcpMessage,
    Event,
    HttpAsked,
    HttpEnded,
    IscsiLogin,
    NfsMount,
    RootConnect,
    TransferEnded,
    TransferStarted,
)
from harness.boot.facts import fetched
from harness.boot.findings_rom import TRIES, is_rom
from harness.boot.identity import ROM_XID
from harness.boot.marks import STRANGERS
from harness.boot.record import DhcpExchange, Evidence

DHCP_TIMEOUT = 45.0
"""Seconds after which an EEPROM bootloader gives the network up (rpi-eeprom, DHCP_TIMEOUT)."""

_PAYLOADS = frozenset({"u-boot", "uefi", "ipxe", "pxe"})


def progress_of(events: Sequence[Event], *, end: float) -> tuple[Progress, tuple[DhcpExchange, ...]]:
    """How far the wire shows one boot to have come; end: time of the capture's last packet."""
    progress = Progress()
    started = [event for event in events if isinstance(event, TransferStarted)]
    found = exchanges((event for event in events if isinstance(event, DhcpMessage)), started)
    if events:
        first = events[0]
        progress.reach("link", Evidence(source="packet", ref=_packet(first), t=first.t, text="its first frame"))
    _firmware(progress, found, started, [event for event in events if isinstance(event, TransferEnded)], end)
    _over_http(progress, events)
    _system(progress, found, events)
    return progress, found


def _packet(event: Event) -> int:
    if isinstance(event, TransferEnded):
        return event.transfer.first_packet
    if isinstance(event, HttpEnded):
        return event.fetch.first_packet
    return getattr(event, "packet", 0)


def _at(exchange: DhcpExchange, which: int = 0) -> Evidence:
    if not exchange.messages:
        return Evidence(source="packet", t=exchange.start, text="DHCP")
    message = exchange.messages[which]
    return Evidence(source="packet", ref=message.packet, t=message.t, text=f"DHCP {message.type}, {exchange.result}")


def _firmware(
    progress: Progress,
    found: Sequence[DhcpExchange],
    started: Sequence[TransferStarted],
    ended: Sequence[TransferEnded],
    end: float,
) -> None:
    """DHCP and files of the board's own firmware, or of the boot loader that stands in its place."""
    own = [one for one in found if one.client == "firmware"]
    others = [one for one in found if one.client in _PAYLOADS]
    asked = [one for one in started if one.asked_by not in STRANGERS or not own]
    for exchange in own or others:
        used = any(one.t >= exchange.start for one in asked)
        if exchange.result == "ack" or (exchange.result == "offer only" and used):
            progress.reach("dhcp", _at(exchange, -1))
        else:
            _unanswered(progress, exchange, (own or others)[0].start, end)
    for start in asked:
        progress.reach("firmware", Evidence(source="packet", ref=start.packet, t=start.t, text=f"RRQ {start.path}"))
    if own and own[-1].result not in {"ack"} and own[-1].start > max((one.t for one in asked), default=0.0) and asked:
        # A second stage that asks anew (bootcode.bin), or another try: what it has had before does not help it.
        progress.reached.pop("dhcp", None)
        _unanswered(progress, own[-1], own[-1].start, end)
    last = ended[-1].transfer if ended else None
    if last is not None and last.result in {"timeout"} and not (own and own[-1].start > last.start):
        text = f"{last.path}: {last.result}"
        progress.fail("firmware", Evidence(source="packet", ref=last.first_packet, t=last.start, text=text))
    payload = next((one for one in reversed(others)), None)
    stranger = next((one.asked_by for one in reversed(started) if one.asked_by in _PAYLOADS), "")
    if payload is not None or stranger:
        progress.payload = payload.client if payload is not None else stranger


def _over_http(progress: Progress, events: Sequence[Event]) -> None:
    """Boot mode 7: boot.sig, boot.img. What another program asks a web server for says nothing of the firmware."""
    for event in events:
        if isinstance(event, HttpAsked) and event.asked_by == "eeprom":
            text = f"GET http://{event.server_ip}:{event.server_port}{event.path}"
            progress.reach("firmware", Evidence(source="packet", ref=event.packet, t=event.t, text=text))
    fetches = [event.fetch for event in events if isinstance(event, HttpEnded)]
    own = [fetch for fetch in fetches if fetch.asked_by in {"eeprom", ""}]
    if own and not own[-1].complete and own[-1].result != "incomplete":
        progress.fail("firmware", fetched(own[-1]))


def _unanswered(progress: Progress, exchange: DhcpExchange, since: float, end: float) -> None:
    last = exchange.messages[-1].t if exchange.messages else exchange.start
    silent = is_rom(exchange) and exchange.discovers >= TRIES and end - last > 6.0
    hopeless = exchange.result == "offer only" and (exchange.tftp_server is None or exchange.address is None)
    if silent or hopeless or exchange.result == "nak" or (not is_rom(exchange) and last - since >= DHCP_TIMEOUT):
        progress.fail("dhcp", _at(exchange, -1))
    else:
        progress.wait("dhcp", _at(exchange, -1))


def _system(progress: Progress, found: Sequence[DhcpExchange], events: Sequence[Event]) -> None:
    """The running kernel's own packets."""
    for exchange in found:
        if exchange.client == "os":
            progress.reach("kernel", _at(exchange))
            if exchange.result != "ack":
                progress.wait("root", _at(exchange))
            elif progress.waits is not None and progress.waits.stage == "root":
                progress.waits = None
    for event in events:
        _storage(progress, event)


def _storage(progress: Progress, event: Event) -> None:
    """A word between the board and a storage server."""
    match event:
        case RootConnect():
            text = f"connect to {event.protocol} {event.server_ip}:{event.port}"
        case NfsMount():
            text = f"MOUNT {event.server_ip}:{event.path}: {'asked' if event.status is None else event.status}"
        case IscsiLogin():
            text = f"iSCSI login to {event.server_ip} {event.target}: {event.status:#06x}"
        case _:
            return
    evidence = Evidence(source="packet", ref=event.packet, t=event.t, text=text)
    progress.reach("kernel", evidence)
    status = None if isinstance(event, RootConnect) else event.status
    # NFS version 4 has no MOUNT call: talking to it is what shows.
    if status == 0 or (isinstance(event, RootConnect) and event.port == 2049):
        progress.reach("root", evidence)
    elif status:
        progress.fail("root", evidence)
    elif not progress.has("root"):
        progress.wait("root", evidence)


def era(started: Sequence[TransferStarted], messages: Sequence[DhcpMessage]) -> tuple[str | None, str | None]:
    """(released since, released before) of an EEPROM bootloader, ISO dates: option 97 and blksize have changed (rpi-eeprom
    release notes).
    """
    since: list[str] = []
    before: list[str] = []
    for message in messages:
        value = message.option(97) or b""
        rule = _ERAS.get(value[1:5]) if message.xid != ROM_XID else None
        if rule is not None:
            if value[1:5] == b"4iPR" and len(value) == 17 and value[6:7] and value[5:9][1] & 0xF0 == 0x40:
                rule = ("2023-09-13", "2023-10-30")  # the first bootloaders of the Pi 5
            since.append(rule[0] or "")
            before.append(rule[1] or "9999")
    for start in started:
        size = dict(start.options).get("blksize")
        if start.asked_by == "eeprom" and size in {"1024", "1468"}:
            since.append("2019-10-08" if size == "1024" else "2022-10-03")
            before.append("2022-10-03" if size == "1024" else "9999")
    first, last = max(since, default=""), min(before, default="9999")
    return first or None, last if last != "9999" else None


_ERAS: dict[bytes, tuple[str | None, str | None]] = {
    b"RPi4": ("2020-03-04", "2022-03-10"),
    b"4iPR": ("2022-02-04", None),
    b"5iPR": ("2023-10-30", None),
}
