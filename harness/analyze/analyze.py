# SPDX-License-Identifier: GPL-2.0-or-later
"""Files in, boards out: what each file is, which of them tell of the same board, and what all that tells."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.analyze import consoles, model, wires
from harness.analyze.progress import Progress, joined
from harness.analyze.result import BoardSeen, DhcpSeen, TftpSeen
from harness.boot.events import DhcpMessage, Milestone, NfsMount, RootConnect, TransferEnded, TransferStarted
from harness.boot.expect import Expectation
from harness.boot.facts import Facts
from harness.boot.files import may_be_missing
from harness.boot.findings import find
from harness.boot.identity import PI_OUIS, guid, sender
from harness.boot.record import CaptureInfo, DhcpExchange, Evidence, Finding, RootSeen, TftpTransfer
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
class _View:
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
    milestones: tuple[Milestone, ...] = ()
    mounts: tuple[NfsMount, ...] = ()
    connects: tuple[RootConnect, ...] = ()
    capture: CaptureInfo | None = None
    kind: str = "unknown"
    programs: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def of_console(self) -> bool:
        return self.capture is None


def analyze(paths: Sequence[Path]) -> list[BoardSeen]:
    """One result per board. Raises ConfigError for a file that is neither capture nor console log, naming it."""
    if not paths:
        raise ConfigError("no file was named", remedy=consoles.REMEDY)
    views: list[_View] = []
    for path in paths:
        views += _capture(path) if _is_capture(path) else [_console(path)]
    return [_board(group) for group in _together(views)]


def _is_capture(path: Path) -> bool:
    """By content; raises ConfigError for what is neither a capture nor a text."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ConfigError("this is a folder", place=str(path), remedy="name its files; a boot's own: piboot replay")
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


def _console(path: Path) -> _View:
    log = consoles.read(path)
    milestones = log.boot.milestones
    programs = dict.fromkeys(name for one in milestones if (name := _console_program(one)))
    if "eeprom" in programs:
        programs.pop("start.elf", None)  # a Pi 5's own firmware prints start.elf's lines
    return _View(
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
        earlier=tuple(log.earlier[-100:]),
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


def _capture(path: Path) -> list[_View]:
    capture = wires.read(path)
    if not capture.boards:
        raise ConfigError(
            f"no board in this capture of {capture.info.packets} packets: neither a DHCP request nor a TFTP one",
            place=str(path),
            remedy="capture at the board's switch port or on the server, from before its power-on, without a filter",
        )
    views = [_wire(path, capture, board) for board in capture.boards]
    if capture.crowded:
        note = f"more than {wires.MAX_BOARDS} clients in this capture: the others are left out"
        views = [_noted(view, note) for view in views]
    return views


def _noted(view: _View, note: str) -> _View:
    view.notes = (*view.notes, note)
    return view


def _wire(path: Path, capture: wires.Capture, board: wires.WireBoard) -> _View:
    boot = board.boots[-1]
    progress, exchanges = wires.progress_of(boot, end=capture.end)
    messages: list[DhcpMessage] = boot.of(DhcpMessage)
    started: list[TransferStarted] = boot.of(TransferStarted)
    own = [told for one in messages if one.from_client and (told := guid(one)) is not None]
    firmware = [one for one in messages if one.from_client and sender(one).kind == "firmware"]
    since, before = wires.era(started, firmware)
    return _View(
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
        mounts=tuple(boot.of(NfsMount)),
        connects=tuple(boot.of(RootConnect)),
        capture=capture.info,
        kind=_wire_kind(board.mac, exchanges, started),
        programs=_wire_programs(exchanges, started),
        earlier=tuple(board.outcomes[-100:]),
        notes=("this boot has more events than are followed",) if boot.cut else (),
    )


def _wire_kind(mac: str, exchanges: Sequence[DhcpExchange], started: Sequence[TransferStarted]) -> str:
    askers = {one.asked_by for one in started}
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


def _together(views: Sequence[_View]) -> list[list[_View]]:
    """Views of one board: the same MAC or serial number; or one console and one board in all, of families that agree."""
    groups: list[list[_View]] = []
    for view in views:
        home = next((group for group in groups if any(_same(view, other) for other in group)), None)
        if home is None:
            groups.append([view])
        else:
            home.append(view)
    consoles_, boards = [g for g in groups if g[0].of_console], [g for g in groups if not g[0].of_console]
    if len(consoles_) == 1:
        pis = [group for group in boards if group[0].kind == "raspberry-pi"] or boards
        if len(pis) == 1 and _may_be_same(consoles_[0][0], pis[0][0]):
            joined_group = [*pis[0], *consoles_[0]]
            return [joined_group if group is pis[0] else group for group in groups if group is not consoles_[0]]
    return groups


def _same(one: _View, other: _View) -> bool:
    return (one.mac is not None and one.mac == other.mac) or (
        one.serial is not None and other.serial is not None and one.serial[-8:] == other.serial[-8:]
    )


def _may_be_same(one: _View, other: _View) -> bool:
    for mine, its in ((one.mac, other.mac), (one.serial, other.serial)):
        if mine and its and mine[-8:] != its[-8:]:
            return False
    families = {family for view in (one, other) if (family := model.verdict(view.signs).family)}
    return len(families) < 2


def _first(views: Sequence[_View], name: str) -> str | None:
    return next((value for view in views if (value := getattr(view, name))), None)


def _board(views: list[_View]) -> BoardSeen:
    told = model.verdict(sign for view in views for sign in view.signs)
    views = sorted(views, key=lambda view: view.of_console)  # packets first: they carry their own times
    kinds = [view.kind for view in views]
    is_pi = "raspberry-pi" in kinds or bool(told.family)
    progress = views[0].progress
    for view in views[1:]:
        progress = joined(progress, view.progress)
    findings = _findings(views, told.model, progress)
    if progress.failure is None and (fault := _broken_files(views, told.model, progress)):
        findings = fault
    transfers = [TftpSeen.of(t, normal=may_be_missing(told.model, t.path)) for view in views for t in view.transfers]
    dhcp = [DhcpSeen.of(one) for view in views for one in view.exchanges]
    for view in views:
        # What the wire shows itself is not told a second time by the console.
        if view.of_console and not dhcp:
            dhcp += consoles.dhcp_told(list(view.milestones))
        if view.of_console and not transfers:
            transfers += consoles.tftp_told(list(view.milestones), told.model)
    return BoardSeen(
        files=tuple(dict.fromkeys(str(view.file) for view in views)),
        kind="raspberry-pi" if is_pi else kinds[0],
        model=told.model if is_pi else "unknown",
        model_certain=told.certain,
        family=told.family,
        model_evidence=told.evidence,
        bootloader_date=_first(views, "date"),
        bootloader_since=_first(views, "since"),
        bootloader_before=_first(views, "before"),
        serial_number=_first(views, "serial"),
        revision=_first(views, "revision"),
        mac=_first(views, "mac"),
        programs=tuple(dict.fromkeys(program for view in views for program in view.programs)),
        stages=progress.stages(),
        outcome=progress.outcome,
        failed_stage=progress.failed_stage,
        reason=_reason(progress, findings),
        boots=1 + max(len(view.earlier) for view in views),
        earlier=max((view.earlier for view in views), key=len),
        dhcp=tuple(dhcp),
        tftp=tuple(transfers),
        findings=findings,
        notes=tuple(dict.fromkeys(note for view in views for note in view.notes)),
    )


def _facts(views: list[_View], name: str, progress: Progress) -> Facts:
    mounts = [mount for view in views for mount in view.mounts]
    last = next((m for m in reversed(mounts) if m.status == 0), mounts[-1] if mounts else None)
    connects = [connect for view in views for connect in view.connects]
    root = None
    if last is not None or connects:
        root = RootSeen(
            protocol="nfs" if last is not None else connects[0].protocol,
            server=last.server_ip if last is not None else connects[0].server_ip,
            path=last.path if last is not None else None,
            status=last.status if last is not None else None,
        )
    return Facts(
        expectation=Expectation(board="", model=name),
        stages=progress.judged(),
        dhcp=tuple(one for view in views for one in view.exchanges),
        tftp=tuple(one for view in views for one in view.transfers),
        milestones=tuple(one for view in views for one in view.milestones),
        root=root,
        os=None,
        gaps=(),
        ended=None,
        capture=None,
        fatal=_fatal(views, progress),
        saw_board=any(not view.of_console for view in views),
    )


def _fatal(views: list[_View], progress: Progress) -> Milestone | None:
    """The console line that stands behind the failure."""
    if progress.failure is None or progress.failure.evidence.source != "console":
        return None
    at = progress.failure.evidence.ref
    return next((one for view in views for one in view.milestones if one.line == at), None)


def _findings(views: list[_View], name: str, progress: Progress) -> tuple[Finding, ...]:
    return find(_facts(views, name, progress))


def _broken_files(views: list[_View], name: str, progress: Progress) -> tuple[Finding, ...]:
    """A boot whose last word was a refusal of a file that it cannot do without has failed there."""
    transfers = [one for view in views for one in view.transfers]
    if not transfers or progress.outcome != "firmware" or transfers[-1].complete:
        return ()
    tried = Progress(reached=progress.reached)
    last = transfers[-1]
    evidence = Evidence(source="packet", ref=last.first_packet, t=last.start, text=f"{last.path}: {last.result}")
    tried.fail("firmware", evidence)
    findings = _findings(views, name, tried)
    if not any(one.severity == "fault" and one.id != "firmware-stalled" for one in findings):
        return ()
    progress.fail("firmware", evidence)
    return findings


def _reason(progress: Progress, findings: Sequence[Finding]) -> str:
    fault = next((finding for finding in findings if finding.severity == "fault"), None)
    if progress.failure is not None:
        return fault.title if fault is not None else progress.failure.evidence.text
    if progress.outcome.startswith("waiting") and progress.waits is not None:
        return f"the last sign of it: {progress.waits.evidence.text}"
    return ""
