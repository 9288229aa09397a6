# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture -> boards -> boots. One pass over the packets; each board gets its own events, told apart by MAC address."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.analyze.wire_progress import progress_of
from harness.boot.dhcp import UNSET
from harness.boot.events import (
    ArpMessage,
    DhcpMessage,
    Event,
    HttpAsked,
    HttpEnded,
    IscsiLogin,
    NfsMount,
    RootConnect,
    TransferEnded,
    TransferProgress,
    TransferStarted,
)
from harness.boot.identity import sender
from harness.boot.marks import IMAGE, KERNEL, STRANGERS
from harness.boot.record import CaptureInfo
from harness.wire.decode import FrameDecoder
from harness.wire.links import ETHERNET
from harness.wire.pcapfile import CaptureFile
from harness.wire.replay import cooked

MAX_BOARDS = 1024
MAX_EVENTS = 50_000
"""Events kept of one boot; above it (a flood, a board that asks for ever) no more are kept, and `cut` says so."""

MAX_ALL_EVENTS = 1_000_000
"""Events kept of all boards of a capture together."""

MAX_OUTCOMES = 100
"""Outcomes kept of the boots before a board's newest."""

_NOBODY = "00:00:00:00:00:00"


@dataclass
class Room:
    """How many more events may be kept, of all boards."""

    left: int = MAX_ALL_EVENTS


@dataclass
class WireBoot:
    """One boot of one board. rank: how far it has come: 0 firmware, 1 its second half or a payload, 2 the system."""

    events: list[Event] = field(default_factory=list)
    rank: int = 0
    cut: bool = False

    def add(self, event: Event, room: Room) -> None:
        if len(self.events) < MAX_EVENTS and room.left > 0:
            self.events.append(event)
            room.left -= 1
        else:
            self.cut = True

    def of(self, kind: type) -> list:  # type: ignore[type-arg]
        return [event for event in self.events if isinstance(event, kind)]


@dataclass
class WireBoard:
    """mac: "" in a capture of raw IP. boot: the newest one; count: how many there were; outcomes: of those before it."""

    mac: str
    room: Room
    boot: WireBoot = field(default_factory=WireBoot)
    count: int = 1
    outcomes: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_OUTCOMES))

    def add(self, event: Event) -> None:
        boot = self.boot
        rank = _rank(event)
        if isinstance(event, DhcpMessage) and event.type == "DISCOVER" and rank is not None and rank < boot.rank:
            self.outcomes.append(progress_of(boot.events, end=event.t)[0].outcome)
            self.room.left += len(boot.events)
            boot = self.boot = WireBoot()
            self.count += 1
        boot.rank = max(boot.rank, rank or 0)
        boot.add(event, self.room)


def _rank(event: Event) -> int | None:  # noqa: PLR0911 - one answer per kind of event
    match event:
        case DhcpMessage() if event.from_client:
            kind = sender(event).kind
            return 0 if kind == "firmware" else 2 if kind == "os" else 1
        case TransferStarted(asked_by=by):
            return 1 if by in {"start.elf", "start4.elf"} or by in STRANGERS else 0
        case TransferEnded(transfer=one):
            return 1 if one.complete and one.asked_by == "eeprom" and KERNEL.search(one.path) else 0
        case HttpAsked(asked_by=by):
            return 0 if by == "eeprom" else 2 if by == "os" else 1
        case HttpEnded(fetch=one):
            return 1 if one.complete and one.asked_by == "eeprom" and one.path.endswith(IMAGE) else 0
        case RootConnect() | NfsMount() | IscsiLogin():
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
    room = Room()

    def board(mac: str) -> WireBoard | None:
        if mac not in boards and len(boards) >= MAX_BOARDS:
            state["crowded"] = True
            return None
        return boards.setdefault(mac, WireBoard(mac, room))

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
            case HttpAsked():
                mac = event.client_mac if event.client_mac in boards else owners.get(event.client_ip, event.client_mac)
                owners[event.client_ip] = mac
                return mac if mac in boards or event.asked_by == "eeprom" else None
            case HttpEnded(fetch=one):
                return owners.get(one.client_ip)
            case RootConnect() | NfsMount() | IscsiLogin():
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
