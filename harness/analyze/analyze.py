# SPDX-License-Identifier: GPL-2.0-or-later
"""Files in, boards out: what each file is, which of them tell of the same board, and what all that tells."""

from collections.abc import Sequence
from pathlib import Path

from harness.analyze import consoles, model
from harness.analyze.progress import Progress, joined
from harness.analyze.result import BoardSeen, DhcpSeen, TftpSeen
from harness.analyze.views import View, views_of
from harness.boot.events import Milestone
from harness.boot.expect import Expectation
from harness.boot.facts import Facts
from harness.boot.files import may_be_missing
from harness.boot.findings import find
from harness.boot.record import Evidence, Finding, RootSeen
from harness.errors import ConfigError


def analyze(paths: Sequence[Path]) -> list[BoardSeen]:
    """One result per board. Raises ConfigError for a file that is neither capture nor console log, naming it."""
    if not paths:
        raise ConfigError("no file was named", remedy=consoles.REMEDY)
    views: list[View] = []
    for path in paths:
        views += views_of(path)
    return [_board(group) for group in _together(views)]


def _together(views: Sequence[View]) -> list[list[View]]:
    """Views of one board: the same MAC or serial number; or one console and one board in all, of families that agree."""
    groups: list[list[View]] = []
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


def _same(one: View, other: View) -> bool:
    return (one.mac is not None and one.mac == other.mac) or (
        one.serial is not None and other.serial is not None and one.serial[-8:] == other.serial[-8:]
    )


def _may_be_same(one: View, other: View) -> bool:
    for mine, its in ((one.mac, other.mac), (one.serial, other.serial)):
        if mine and its and mine[-8:] != its[-8:]:
            return False
    families = {family for view in (one, other) if (family := model.verdict(view.signs).family)}
    return len(families) < 2


def _first(views: Sequence[View], name: str) -> str | None:
    return next((value for view in views if (value := getattr(view, name))), None)


def _board(views: list[View]) -> BoardSeen:
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
        boots=max(view.boots for view in views),
        earlier=max((view.earlier for view in views), key=len),
        dhcp=tuple(dhcp),
        tftp=tuple(transfers),
        http=tuple(one for view in views for one in view.fetches),
        findings=findings,
        notes=tuple(dict.fromkeys(note for view in views for note in view.notes)),
    )


def _facts(views: list[View], name: str, progress: Progress) -> Facts:
    mounts = [mount for view in views for mount in view.mounts]
    last = next((m for m in reversed(mounts) if m.status == 0), mounts[-1] if mounts else None)
    connects = [connect for view in views for connect in view.connects]
    logins = [login for view in views for login in view.logins] if last is None else []
    login = next((one for one in reversed(logins) if one.status == 0), logins[-1] if logins else None)
    root = None
    if last is not None:
        root = RootSeen(protocol="nfs", server=last.server_ip, path=last.path, status=last.status)
    elif login is not None:
        root = RootSeen(protocol="iscsi", server=login.server_ip, path=login.target, status=login.status)
    elif connects:
        root = RootSeen(protocol=connects[0].protocol, server=connects[0].server_ip)
    return Facts(
        expectation=Expectation(board="", model=name),
        stages=progress.judged(),
        dhcp=tuple(one for view in views for one in view.exchanges),
        tftp=tuple(one for view in views for one in view.transfers),
        milestones=tuple(one for view in views for one in view.milestones),
        root=root,
        os=None,
        console=None,
        ended=None,
        capture=None,
        fatal=_fatal(views, progress),
        saw_board=any(not view.of_console for view in views),
        http=tuple(one for view in views for one in view.fetches),
    )


def _fatal(views: list[View], progress: Progress) -> Milestone | None:
    """The console line that stands behind the failure."""
    if progress.failure is None or progress.failure.evidence.source != "console":
        return None
    at = progress.failure.evidence.ref
    return next((one for view in views for one in view.milestones if one.line == at), None)


def _findings(views: list[View], name: str, progress: Progress) -> tuple[Finding, ...]:
    return find(_facts(views, name, progress))


def _broken_files(views: list[View], name: str, progress: Progress) -> tuple[Finding, ...]:
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
