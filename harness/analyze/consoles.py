# SPDX-License-Identifier: GPL-2.0-or-later
"""A bare console log -> the boots in it. Read in pieces: a log of any size takes a bounded amount of memory."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.analyze.result import DhcpSeen, TftpSeen
from harness.analyze.signs import Reader
from harness.boot.events import Milestone
from harness.boot.files import may_be_missing
from harness.console.inner_clock import InnerClock
from harness.console.lines import Line, LineSplitter
from harness.console.milestones import Milestones
from harness.errors import ConfigError

CHUNK = 1 << 18
MAX_MILESTONES = 5000
"""Of one boot; a board that repeats itself for days is followed on, but no more is kept."""

MAX_SIGNS = 200
MAX_EARLIER = 100
"""Outcomes kept of the boots before the newest."""

GIVE_UP_AFTER = 8 << 20
"""Octets without any line that means something, when many of them are not even text: it is no console log."""

#: Lines that name the board's own address; others name the server's.
_OWN_MAC = frozenset({"net.wait_link", "bootcode.ethernet", "bootcode.arp", "initramfs.ip_request", "kernel.ip_config"})
_PREFIX = re.compile(r"([0-9a-f]{8})/")
#: What a boot may begin with before anything has happened.
_OPENING = frozenset({"bootloader.banner", "bootloader.board"})


@dataclass
class ConsoleBoot:
    """One boot on a console."""

    reader: Reader = field(default_factory=Reader)
    milestones: list[Milestone] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def add(self, milestone: Milestone) -> None:
        self.reader.feed(milestone)
        self.names.add(milestone.name)
        if len(self.milestones) < MAX_MILESTONES:
            self.milestones.append(milestone)


@dataclass
class ConsoleLog:
    """A whole log: its newest boot, outcomes of the others, and what any of them told of the board."""

    path: Path
    boot: ConsoleBoot = field(default_factory=ConsoleBoot)
    earlier: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_EARLIER))
    boots: int = 1
    telling: list[Milestone] = field(default_factory=list)
    date: str | None = None
    serial: str | None = None
    revision: str | None = None
    mac: str | None = None
    lines: int = 0

    def add(self, milestone: Milestone) -> None:
        if self._begins(milestone):
            self.earlier.append(self.boot.reader.progress.outcome)
            self.boot = ConsoleBoot()
            self.boots += 1
            self.date = None
        self.boot.add(milestone)
        fields = milestone.fields
        if milestone.name in {"bootloader.banner", "diag.bootloader"} and fields.get("date"):
            self.date = self.date or fields["date"]
        found = _PREFIX.match(fields.get("path", "")) if milestone.name == "tftp.get" else None
        self.serial = self.serial or (fields.get("serial") or "").lower() or (found.group(1) if found else None)
        self.revision = self.revision or fields.get("boardrev") or None
        if milestone.name in _OWN_MAC:
            mac = fields.get("mac", "").lower()
            self.mac = self.mac or (mac if mac and "x" not in mac else None)
        if len(self.telling) < (2 * MAX_SIGNS if "boardrev" in fields else MAX_SIGNS):
            self.telling.append(milestone)

    def _begins(self, milestone: Milestone) -> bool:
        """Whether a new boot begins here."""
        names = self.boot.names
        if milestone.name == "bootloader.banner":
            return bool(names - _OPENING) or self._same_again(milestone)
        return milestone.name == "kernel.start" and "kernel.start" in names

    def _same_again(self, milestone: Milestone) -> bool:
        """BOOTSYS once more: a board that does not get beyond it. BOOTLOADER after BOOTSYS is the same boot."""
        kinds = [one.fields.get("kind") for one in self.boot.milestones if one.name == "bootloader.banner"]
        return milestone.fields.get("kind") in kinds


def read(path: Path) -> ConsoleLog:
    """Raises ConfigError when the file cannot be read, or when no line of it reads like a board's."""
    log = ConsoleLog(path)
    splitter, milestones, inner = LineSplitter(), Milestones(), InnerClock()
    size = odd = 0
    found = False

    def take(lines: list[Line]) -> bool:
        any_found = False
        for line in lines:
            t = inner.at(line.text)
            for milestone in milestones.feed(Line(line.number, t, line.text, line.offset, line.partial, line.cut)):
                log.add(milestone)
                any_found = True
        return any_found

    for data in _chunks(path):
        size += len(data)
        odd += len(data) - len(data.translate(None, _NOT_TEXT))
        found |= take(splitter.feed(0.0, data))
        if not found and size >= GIVE_UP_AFTER and odd * 20 > size:
            break
    found |= take(splitter.flush())
    log.lines = splitter.lines
    if not found:
        what = "binary data" if odd * 20 > size else "no line of it reads like a Raspberry Pi's console"
        raise ConfigError(f"neither a capture nor a console log: {what}", place=str(path), remedy=REMEDY)
    return log


REMEDY = (
    "give the log of a serial console (plain text, as a terminal program saves it), or a pcap or pcapng file; "
    "server logs and texts of tcpdump are not read"
)

#: Controls that a serial console does not carry, NUL apart: line noise and power-on glitches do hold NULs.
_NOT_TEXT = bytes(code for code in range(32) if code not in (0, 7, 8, 9, 10, 11, 12, 13, 27)) + b"\x7f"


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while data := file.read(CHUNK):
                yield data
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", place=str(path), remedy=REMEDY) from error


def dhcp_told(milestones: list[Milestone]) -> tuple[DhcpSeen, ...]:
    """DHCP exchanges as the bootloader tells them: one per attempt (from "wait for link" or its first request)."""
    attempts: list[list[Milestone]] = []
    for milestone in milestones:
        if milestone.name in {"net.wait_link", "bootcode.link_wait"} or (milestone.name in _DHCP and not attempts):
            attempts.append([])
        if attempts and milestone.name in _DHCP:
            attempts[-1].append(milestone)
    return tuple(_exchange(attempt) for attempt in attempts if attempt)


_DHCP = frozenset(
    {
        "net.dhcp_src",
        "net.yiaddr",
        "net.siaddr",
        "net.dhcp_recv",
        "net.option66",
        "net.config",
        "net.dhcp_complete",
        "bootcode.dhcp_request",
        "bootcode.arp",
    }
)


def _exchange(told: list[Milestone]) -> DhcpSeen:
    names = {milestone.name for milestone in told}
    last = {name: next(m.fields for m in reversed(told) if m.name == name) for name in names}
    types = tuple(m.fields["type"] for m in told if m.name == "net.dhcp_recv")
    config, arp = last.get("net.config"), last.get("bootcode.arp")
    of_rom = any(name.startswith("bootcode.") for name in names)
    if config is not None or "ACK" in types or "net.dhcp_complete" in names:
        result = "ack"
    elif types[-1:] == ("NACK",):
        result = "nak"
    elif arp is not None or "net.dhcp_src" in names:
        result = "offer only"
    else:
        result = "no answer"
    yiaddr = next((m.fields["ip"] for m in reversed(told) if m.name == "net.yiaddr"), None)
    servers = tuple(dict.fromkeys(m.fields["ip"] for m in told if m.name == "net.dhcp_src"))
    return DhcpSeen(
        source="console",
        client="firmware",
        asked_by="bootcode.bin" if of_rom else "eeprom",
        start=told[0].t,
        duration_s=round(told[-1].t - told[0].t, 6),
        discovers=sum(m.name == "bootcode.dhcp_request" for m in told),
        result=result,
        address=(config or arp or {}).get("ip") or yiaddr,
        server=servers[0] if servers else None,
        servers_seen=servers,
        tftp_server=config["tftp"] if config else arp["target"] if arp else None,
        tftp_from="option 66" if "net.option66" in names else None,
        types=types,
        ref=told[0].line,
    )


def tftp_told(milestones: list[Milestone], model: str) -> tuple[TftpSeen, ...]:
    """Files that an EEPROM bootloader tells it asks for by TFTP, with what it tells of their end."""
    found: list[TftpSeen] = []
    for milestone in milestones:
        fields = milestone.fields
        if milestone.name == "tftp.get":
            found.append(
                TftpSeen(
                    source="console",
                    path=fields["path"],
                    result="",
                    asked_by="eeprom",
                    normal=may_be_missing(model, fields["path"]),
                    server_ip=fields["ip"],
                    start=milestone.t,
                    ref=milestone.line,
                )
            )
        elif found and not found[-1].result:
            end: dict[str, object] = {}
            if milestone.name in {"tftp.complete", "firmware.read_file"} and fields.get("bytes"):
                end = {"result": "complete", "bytes": int(fields["bytes"])}
            elif milestone.name == "tftp.error":
                code = int(fields["code"])
                end = {"result": "not found" if code == 1 else "refused", "error_code": code}
                end["error_text"] = fields["text"]
            elif milestone.name == "tftp.timeout":
                end = {"result": "timeout"}
            if end:
                found[-1] = found[-1].model_copy(update=end)
    return tuple(found)
