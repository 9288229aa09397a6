# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture -> boards -> boots. One pass over the packets; each board gets its own events, told apart by MAC address."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.analyze.progress import Progress
from harness.boot.dhcp import UNSET, exchanges
from harness.boot.events import (
    ArpMessage,
    DhcpMessage,
    Event,
    NfsMount,
    RootConnect,
    TransferEnded,
    TransferProgress,
    TransferStarted,
)
from harness.boot.findings_rom import TRIES, is_rom
from harness.boot.identity import ROM_XID, sender
from harness.boot.marks import KERNEL, STRANGERS
from harness.boot.record import CaptureInfo, DhcpExchange, Evidence
from harness.wire.decode import FrameDecoder
from harness.wire.links import ETHERNET
from harness.wire.pcapfile import CaptureFile
from harness.wire.replay import cooked

MAX_BOARDS = 1024
MAX_EVENTS = 50_000
"""Events kept of one boot; above it (a flood, a board that asks for ever) no more are kept, and `cut` says so."""

DHCP_TIMEOUT = 45.0
"""Seconds after which an EEPROM bootloader gives the network up (rpi-eeprom, DHCP_TIMEOUT)."""

_NOBODY = "00:00:00:00:00:00"
_PAYLOADS = frozenset({"u-boot", "uefi", "ipxe", "pxe"})


@dataclass
class WireBoot:
    """One boot of one board. rank: how far it has come: 0 firmware, 1 its second half or a payload, 2 the system."""

    events: list[Event] = field(default_factory=list)
    rank: int = 0
    cut: bool = False

    def add(self, event: Event) -> None:
        if len(self.events) < MAX_EVENTS:
            self.events.append(event)
        else:
            self.cut = True

    def of(self, kind: type) -> list:  # type: ignore[type-arg]
        return [event for event in self.events if isinstance(event, kind)]


@dataclass
class WireBoard:
    """mac: "" in a capture of raw IP."""

    mac: str
    boots: list[WireBoot] = field(default_factory=lambda: [WireBoot()])
    outcomes: list[str] = field(default_factory=list)

    def add(self, event: Event) -> None:
        boot = self.boots[-1]
        rank = _rank(event)
        if isinstance(event, DhcpMessage) and event.type == "DISCOVER" and rank is not None and rank < boot.rank:
            self.outcomes.append(progress_of(boot, end=event.t)[0].outcome)
            boot = WireBoot()
            self.boots = [boot]  # only the newest boot is kept
        boot.rank = max(boot.rank, rank or 0)
        boot.add(event)


def _rank(event: Event) -> int | None:
    match event:
        case DhcpMessage() if event.from_client:
            kind = sender(event).kind
            return 0 if kind == "firmware" else 2 if kind == "os" else 1
        case TransferStarted(asked_by=by):
            return 1 if by in {"start.elf", "start4.elf"} or by in STRANGERS else 0
        case TransferEnded(transfer=one):
            return 1 if one.complete and one.asked_by == "eeprom" and KERNEL.search(one.path) else 0
        case RootConnect() | NfsMount():
            return 2
    return None


@dataclass
class Capture:
    """boards: by MAC, in the order of their first request."""

    path: Path
    info: CaptureInfo
    boards: list[WireBoard]
    end: float
    malformed: int = 0
    crowded: bool = False


def read(path: Path) -> Capture:
    """Raises ConfigError when the capture is damaged beyond reading."""
    boards: dict[str, WireBoard] = {}
    owners: dict[str, str] = {}  # IP -> MAC
    transfers: dict[int, str] = {}  # first packet of a transfer -> MAC
    state = {"crowded": False}
    waiting: list[Event] = []

    def board(mac: str) -> WireBoard | None:
        if mac not in boards and len(boards) >= MAX_BOARDS:
            state["crowded"] = True
            return None
        return boards.setdefault(mac, WireBoard(mac))

    def owner(event: Event) -> str | None:  # noqa: PLR0911 - one answer per kind of event
        match event:
            case DhcpMessage():
                if event.from_client:
                    return event.chaddr
                if event.type in {"ACK", "OFFER", "BOOTREPLY"} and event.yiaddr != UNSET and event.chaddr in boards:
                    owners[event.yiaddr] = event.chaddr
                return event.chaddr if event.chaddr in boards else None
            case TransferStarted():
                mac = event.client_mac if event.client_mac != _NOBODY else owners.get(event.client_ip, "")
                if owners.get(event.client_ip) in boards and mac not in boards:
                    mac = owners[event.client_ip]  # behind a router the frame's source is the router's
                owners[event.client_ip] = mac
                if len(transfers) < 10 * MAX_EVENTS:
                    transfers[event.packet] = mac
                return mac
            case TransferEnded(transfer=one):
                return transfers.pop(one.first_packet, None)
            case RootConnect() | NfsMount():
                return owners.get(event.client_ip)
            case ArpMessage():
                return event.sender_mac if event.sender_mac in boards else None
        return None

    def take(event: Event) -> None:
        if not isinstance(event, TransferProgress):
            waiting.append(event)

    decoder = FrameDecoder(None, take)
    count, last = 0, 0.0
    with CaptureFile(path) as file:
        for number, t, link, data in file:
            if link == ETHERNET:
                decoder.frame(number, t, data)
            else:
                cooked(decoder, number, t, link, data)
            count, last = number, max(last, t)
            if waiting:
                _deal(waiting, owner, board)
        decoder.finish(last)
        _deal(waiting, owner, board)
        complete = file.truncated is None
    info = CaptureInfo(packets=count, dropped=0, file=path.name, complete=complete)
    found = list(boards.values())
    return Capture(path, info, found, last, decoder.malformed_count, state["crowded"])


def _deal(waiting: list[Event], owner: Callable[[Event], str | None], board: Callable[[str], WireBoard | None]) -> None:
    """Give each event to its board."""
    for event in waiting:
        mac = owner(event)
        if mac is None:
            continue
        whose = board(mac)
        if whose is not None:
            whose.add(event)
    waiting.clear()


def progress_of(boot: WireBoot, *, end: float) -> tuple[Progress, tuple[DhcpExchange, ...]]:
    """How far the wire shows this boot to have come; end: time of the capture's last packet."""
    progress = Progress()
    started: list[TransferStarted] = boot.of(TransferStarted)
    found = exchanges(boot.of(DhcpMessage), started)
    if boot.events:
        first = boot.events[0]
        progress.reach("link", Evidence(source="packet", ref=_packet(first), t=first.t, text="its first frame"))
    _firmware(progress, found, started, boot.of(TransferEnded), end)
    _system(progress, found, boot)
    return progress, found


def _packet(event: Event) -> int:
    if isinstance(event, TransferEnded):
        return event.transfer.first_packet
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


def _unanswered(progress: Progress, exchange: DhcpExchange, since: float, end: float) -> None:
    last = exchange.messages[-1].t if exchange.messages else exchange.start
    silent = is_rom(exchange) and exchange.discovers >= TRIES and end - last > 6.0
    hopeless = exchange.result == "offer only" and (exchange.tftp_server is None or exchange.address is None)
    if silent or hopeless or exchange.result == "nak" or (not is_rom(exchange) and last - since >= DHCP_TIMEOUT):
        progress.fail("dhcp", _at(exchange, -1))
    else:
        progress.wait("dhcp", _at(exchange, -1))


def _system(progress: Progress, found: Sequence[DhcpExchange], boot: WireBoot) -> None:
    """The running kernel's own packets."""
    for exchange in found:
        if exchange.client == "os":
            progress.reach("kernel", _at(exchange))
            if exchange.result != "ack":
                progress.wait("root", _at(exchange))
            elif progress.waits is not None and progress.waits.stage == "root":
                progress.waits = None
    for event in boot.events:
        if isinstance(event, RootConnect):
            text = f"connect to {event.protocol} {event.server_ip}:{event.port}"
            evidence = Evidence(source="packet", ref=event.packet, t=event.t, text=text)
            progress.reach("kernel", evidence)
            if not progress.has("root"):
                progress.wait("root", evidence)
            if event.port == 2049:  # NFS version 4 has no MOUNT call: talking to it is what shows
                progress.reach("root", evidence)
        elif isinstance(event, NfsMount):
            text = f"MOUNT {event.server_ip}:{event.path}: {'asked' if event.status is None else event.status}"
            evidence = Evidence(source="packet", ref=event.packet, t=event.t, text=text)
            progress.reach("kernel", evidence)
            if event.status == 0:
                progress.reach("root", evidence)
            elif event.status:
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
