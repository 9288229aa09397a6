# SPDX-License-Identifier: GPL-2.0-or-later
"""One file -> what it tells of each board in it, as a view: a console log gives one, a capture one for each board."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.analyze import consoles, model, wire_progress, wires
from harness.analyze.progress import Progress
from harness.boot.events import (
    DhcpMessage,
    HttpEnded,
    IscsiLogin,
    Milestone,
    NfsMount,
    RootConnect,
    TransferEnded,
    TransferStarted,
)
from harness.boot.identity import PI_OUIS, guid, sender
from harness.boot.record import CaptureInfo, DhcpExchange, HttpFetch, TftpTransfer
from harness.errors import ConfigError

_CAPTURES = frozenset(
    {
        b"\xd4\xc3\xb2\xa1",
        b"\xa1\xb2\xc3\xd4",
        b"\x4d\x3c\xb2\xa1",
        b"\xa1\xb2\x3c\x4d",
        b"\x0a\x0d\x0d\x0a",
    }
)
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zX": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip"}


@dataclass
class View:
    """What one file tells of one board."""

    file: Path
    progress: Progress
    mac: str | None = None
    serial: str | None = None
    revision: str | None = None
    date: str | None = None
    since: str | None = None
    before: str | None = None
    signs: list[model.Sign] = field(default_factory=list)
    exchanges: tuple[DhcpExchange, ...] = ()
    transfers: tuple[TftpTransfer, ...] = ()
    fetches: tuple[HttpFetch, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    mounts: tuple[NfsMount, ...] = ()
    logins: tuple[IscsiLogin, ...] = ()
    connects: tuple[RootConnect, ...] = ()
    capture: CaptureInfo | None = None
    kind: str = "unknown"
    programs: tuple[str, ...] = ()
    boots: int = 1
    earlier: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def of_console(self) -> bool:
        return self.capture is None


def views_of(path: Path) -> list[View]:
    """Raises ConfigError for a file that is neither capture nor console log, or cannot be read."""
    return _capture(path) if _is_capture(path) else [_console(path)]


def _is_capture(path: Path) -> bool:
    """By content; raises ConfigError for what is neither a capture nor a text."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ConfigError("this is a folder", place=str(path), remedy="name its files; a boot's own: piboot replay")
        if not stat.S_ISREG(mode):
            raise ConfigError("not a regular file", place=str(path), remedy=f"save what it gives. {consoles.REMEDY}")
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", place=str(path)) from error
    if not head:
        raise ConfigError("the file is empty", place=str(path), remedy=consoles.REMEDY)
    packed = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
    if packed is not None:
        raise ConfigError(f"compressed with {packed}", place=str(path), remedy=f"unpack it first. {consoles.REMEDY}")
    return head[:4] in _CAPTURES


def _console(path: Path) -> View:
    log = consoles.read(path)
    milestones = log.boot.milestones
    programs = dict.fromkeys(name for one in milestones if (name := _console_program(one)))
    if "eeprom" in programs:
        programs.pop("start.elf", None)  # a Pi 5's own firmware prints start.elf's lines
    return View(
        file=path,
        progress=log.boot.reader.progress,
        mac=log.mac,
        serial=log.serial,
        revision=log.revision,
        date=log.date,
        signs=list(model.of_console([*log.telling, *milestones[:1000]])),
        milestones=tuple(milestones),
        kind=_console_kind(log),
        programs=tuple(programs),
        boots=log.boots,
        earlier=tuple(log.earlier),
    )


_PROGRAMS = {
    "firmware.start_elf": "start4.elf",
    "firmware.mess_start": "start.elf",
    "firmware.bl31": "bl31",
    "kernel.start": "linux",
    "freebsd.kernel": "freebsd",
    "uboot.banner": "u-boot",
    "uefi.banner": "uefi",
    "ipxe.banner": "ipxe",
    "grub.banner": "grub",
    "initramfs.start": "initramfs",
    "systemd.start": "systemd",
    "init.start": "init",
}


def _console_program(milestone: Milestone) -> str:
    if milestone.name == "bootloader.banner":
        return "bootcode.bin" if milestone.fields.get("kind") == "bootcode" else "eeprom"
    if milestone.name in {"net.wait_link", "bootloader.mode"}:
        return "eeprom"
    return _PROGRAMS.get(milestone.name, "")


def _console_kind(log: consoles.ConsoleLog) -> str:
    names = {milestone.name.partition(".")[0] for milestone in log.telling}
    if names & {"bootloader", "net", "firmware", "bootcode", "diag"}:
        return "raspberry-pi"
    for name, kind in (("uboot", "u-boot"), ("uefi", "uefi"), ("ipxe", "ipxe")):
        if name in names:
            return kind
    return "os" if names & {"kernel", "freebsd", "initramfs", "systemd", "login", "init"} else "unknown"


def _capture(path: Path) -> list[View]:
    capture = wires.read(path)
    if not capture.boards:
        raise ConfigError(
            f"no board in this capture of {capture.info.packets} packets: neither a DHCP request nor a TFTP one",
            place=str(path),
            remedy="capture at the board's switch port or on the server, from before its power-on, without a filter",
        )
    views = [_wire(path, capture, board) for board in capture.boards]
    notes = []
    if capture.crowded:
        notes.append(f"more than {wires.MAX_BOARDS} clients in this capture: the others are left out")
    if not capture.info.complete:
        notes.append(f"{path.name} was cut: its last packets are missing")
    if capture.malformed:
        notes.append(f"{capture.malformed} packets of {path.name} made no sense and are left out")
    for view in views:
        view.notes = (*view.notes, *notes)
    return views


def _wire(path: Path, capture: wires.Capture, board: wires.WireBoard) -> View:
    boot = board.boot
    progress, exchanges = wire_progress.progress_of(boot.events, end=capture.end)
    messages: list[DhcpMessage] = boot.of(DhcpMessage)
    started: list[TransferStarted] = boot.of(TransferStarted)
    fetches = tuple(event.fetch for event in boot.of(HttpEnded))
    own = [told for one in messages if one.from_client and (told := guid(one)) is not None]
    firmware = [one for one in messages if one.from_client and sender(one).kind == "firmware"]
    since, before = wire_progress.era(started, firmware)
    return View(
        file=path,
        progress=progress,
        mac=board.mac or None,
        serial=next((one.serial for one in own if one.serial), None) if firmware else None,
        revision=next((one.revision for one in own if one.revision), None) if firmware else None,
        since=since,
        before=before,
        signs=list(model.of_wire(board.mac, messages, started)),
        exchanges=exchanges,
        transfers=tuple(event.transfer for event in boot.of(TransferEnded)),
        fetches=fetches,
        mounts=tuple(boot.of(NfsMount)),
        logins=tuple(boot.of(IscsiLogin)),
        connects=tuple(boot.of(RootConnect)),
        capture=capture.info,
        kind=_wire_kind(board.mac, exchanges, started, fetches),
        programs=_wire_programs(exchanges, started),
        boots=board.count,
        earlier=tuple(board.outcomes),
        notes=("this boot has more events than are followed",) if boot.cut else (),
    )


def _wire_kind(
    mac: str, exchanges: Sequence[DhcpExchange], started: Sequence[TransferStarted], fetches: Sequence[HttpFetch]
) -> str:
    askers = {one.asked_by for one in started}
    if any(fetch.asked_by == "eeprom" for fetch in fetches):  # it calls itself rpiboot
        return "raspberry-pi"
    if any(one.client == "firmware" for one in exchanges) or askers & {
        "rom",
        "bootcode.bin",
        "start.elf",
        "start4.elf",
    }:
        return "raspberry-pi"
    if mac[:8] in PI_OUIS:
        return "raspberry-pi"
    named = [one.client for one in exchanges] + [one for one in askers if one]
    for kind in ("ipxe", "uefi", "u-boot", "pxe", "os"):
        if kind in named:
            return kind
    return "unknown"


def _wire_programs(exchanges: Sequence[DhcpExchange], started: Sequence[TransferStarted]) -> tuple[str, ...]:
    seen = [(one.start, one.asked_by or one.client) for one in exchanges]
    seen += [(one.t, one.asked_by) for one in started if one.asked_by]
    return tuple(dict.fromkeys(name for _, name in sorted(seen)))
