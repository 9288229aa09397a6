# SPDX-License-Identifier: GPL-2.0-or-later
"""What the page says of one boot: sentences, rows and marks, ready for the templates. No HTML here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import models
from harness.boot.files import may_be_missing
from harness.boot.record import BootRecord, Evidence, Stage, TftpTransfer
from harness.report import text, words
from harness.report.console import Excerpt, Mark, excerpt
from harness.report.links import Link, artefacts
from harness.report.runs import Boot
from harness.report.svg import Picture, finite
from harness.report.timeline import gap_text, power_on, timeline, transfer_class
from harness.report.waterfall import waterfall

WIDE, PHONE = 1080, 356  # widths of the pictures, CSS pixels


@dataclass(frozen=True)
class Proof:
    """A piece of evidence: "packet 17", its text, when, and the place on the page to jump to ("" when none)."""

    place: str
    text: str
    t: float | None
    href: str


@dataclass(frozen=True)
class StageRow:
    stage: Stage
    proofs: list[Proof]


@dataclass(frozen=True)
class TransferRow:
    """cls: got, probe, missing (normal), needed (missing and nowhere delivered) or broken."""

    transfer: TftpTransfer
    cls: str
    result: str


@dataclass
class BootView:
    """All that `boot.html.j2` needs; `id` is the prefix of the boot's anchors."""

    id: str
    boot: Boot
    zero: float = 0.0
    stages: list[StageRow] = field(default_factory=list)
    transfers: list[TransferRow] = field(default_factory=list)
    proofs: dict[int, list[Proof]] = field(default_factory=dict)
    pictures: list[tuple[str, list[Picture]]] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    console: Excerpt = field(default_factory=Excerpt)
    links: list[Link] = field(default_factory=list)
    changes: list[str] | None = None
    machine: list[tuple[str, str]] = field(default_factory=list)
    strip: list[tuple[Stage, float, float]] = field(default_factory=list)


def boot_view(run: Path, boot: Boot, anchor: str, lines: int) -> BootView:
    """The view of `boot`. anchor: a prefix unique on the page, letters and digits; lines: at most so many of the console."""
    view = BootView(anchor, boot, links=artefacts(run, boot))
    record = boot.record
    if record is None:
        view.console = excerpt(boot.folder / "console.log", {}, lines)
        return view
    view.zero = power_on(record)
    log = record.console.file if record.console else "console.log"
    if Path(log).name != log:  # a record of strangers must not read files elsewhere
        log = "console.log"
    view.console = excerpt(boot.folder / log, _marks(record), lines)
    anchors = _anchors(record, view.console, anchor)
    view.stages = [StageRow(stage, _proofs(stage.evidence, anchors)) for stage in record.stages]
    view.proofs = {n: _proofs(finding.evidence, anchors) for n, finding in enumerate(record.findings)}
    delivered = {_base(t.path) for t in record.tftp if t.complete}
    view.transfers = [_transfer_row(t, record.model, delivered) for t in record.tftp]
    hrefs = {row.stage.name: f"#{anchor}-s-{row.stage.name}" for row in view.stages if row.stage.name.isalnum()}
    for name, drawn in (
        ("Where the time went", [timeline(record, width, hrefs) for width in (WIDE, PHONE)]),
        ("Files over TFTP, enlarged", [waterfall(record, width) for width in (WIDE, PHONE)]),
    ):
        pictures = [picture for picture in drawn if picture is not None]
        if pictures:
            view.pictures.append((name, pictures))
    view.facts = _facts(record)
    if record.machine is not None:
        changes = record.machine.get("changes")
        view.changes = [_flat(change) for change in changes] if isinstance(changes, (list, tuple)) else []
        view.machine = [(str(k), _flat(v)) for k, v in record.machine.items() if k != "changes"]
    view.strip = strip(record)
    return view


def strip(record: BootRecord) -> list[tuple[Stage, float, float]]:
    """The stages that began, as (stage, start, seconds) from power-on: a small picture for the summary."""
    zero = power_on(record)
    spans = []
    for stage in record.stages:
        if stage.start is not None and finite([stage.start, zero]):
            end = stage.end if stage.end is not None and finite([stage.end]) else record.ended
            spans.append((stage, max(stage.start - zero, 0.0), max(end - stage.start, 0.0)))
    return spans


def _marks(record: BootRecord) -> dict[int, tuple[Mark, ...]]:
    """Console line -> what it means."""
    found: dict[int, dict[Mark, None]] = {}

    def add(evidence: Evidence, kind: str, label: str) -> None:
        if evidence.source == "console" and evidence.ref > 0:
            found.setdefault(evidence.ref, {})[Mark(kind, label)] = None

    for stage in record.stages:
        for evidence in stage.evidence:
            add(evidence, "stage", stage.name)
    for finding in record.findings:
        for evidence in finding.evidence:
            add(evidence, "evidence", finding.title)
    for gap in record.console.gaps if record.console else ():
        found.setdefault(max(1, gap.line), {})[Mark("evidence", "console lost")] = None
    for milestone in record.milestones:
        found.setdefault(milestone.line, {})[Mark("milestone", milestone.name)] = None
    return {line: tuple(marks) for line, marks in found.items()}


def _anchors(record: BootRecord, console: Excerpt, anchor: str) -> Mapping[tuple[str, int], str]:
    """(source, number) -> link target, for the lines and packets that stand on the page."""
    targets = {("packet", t.first_packet): f"#{anchor}-t{n}" for n, t in enumerate(record.tftp)}
    targets |= {("packet", t.last_packet): f"#{anchor}-t{n}" for n, t in enumerate(record.tftp)}
    targets |= {("packet", m.packet): f"#{anchor}-p{m.packet}" for e in record.dhcp for m in e.messages}
    targets |= {("packet", f.first_packet): f"#{anchor}-h{n}" for n, f in enumerate(record.http)}
    targets |= {("packet", f.last_packet): f"#{anchor}-h{n}" for n, f in enumerate(record.http)}
    return targets | {("console", number): f"#{anchor}-L{number}" for number in console.numbers}


def _proofs(evidence: tuple[Evidence, ...], anchors: Mapping[tuple[str, int], str]) -> list[Proof]:
    return [
        Proof(
            words.place(e),
            text.one_line(e.text, 300),
            e.t,
            anchors.get((e.source, e.ref), ""),
        )
        for e in evidence
    ]


def _transfer_row(transfer: TftpTransfer, model: str, delivered: set[str]) -> TransferRow:
    cls, result = transfer_class(transfer), transfer.result
    if cls == "missing":
        known = models.MODELS.get(model)
        base = _base(transfer.path)
        needed = known is not None and base in (*known.needed, known.kernels[0])
        if needed and base not in delivered:
            cls, result = "needed", "not found, but needed"
        elif may_be_missing(model, transfer.path):
            result = "not found (normal)"
    elif cls == "probe" and transfer.result == "early terminate":
        result = "there"
    return TransferRow(transfer, cls, result)


def _base(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _facts(record: BootRecord) -> list[tuple[str, str]]:
    """Name and value of what is known of board and boot, in reading order; nothing that is empty."""
    title = models.MODELS[record.model].title if record.model in models.MODELS else record.model
    capture, root, system = record.capture, record.root, record.os
    facts = [
        ("Model", title),
        ("Serial number", record.serial_number),
        ("MAC", record.mac),
        ("Started", text.clock_time(record.started)),
        ("Watched for", text.duration(record.duration_s)),
    ]
    if (loss := record.power_loss) is not None:
        facts.append(("Without power", f"proven: {loss.text}" if loss.proved else loss.text))
    if capture is not None:
        lost = "0 dropped" if capture.dropped == 0 else f"{capture.dropped:,} DROPPED"
        cut = "" if capture.complete else ", not complete"
        facts.append(
            ("Capture", f"{text.count(capture.packets, 'packet')}, {lost}{cut}, on {capture.interface or 'the wire'}")
        )
        if (clock := capture.clock) is not None:
            ahead = f"{clock.offset_s * 1000:+,.1f} ms ± {clock.uncertainty_s * 1000:.1f} ms"
            facts.append(("Its clock", f"{clock.host} is {ahead} from ours; the packets' times are corrected by that"))
    if (console := record.console) is not None:
        facts += [("Console", gap_text(gap, power_on(record))) for gap in console.gaps]
        facts += [
            ("Console", f"{rate.baud} baud from {text.relative(rate.t, power_on(record))} on") for rate in console.rates
        ]
    if root is not None:
        kind = " ".join(filter(None, (root.fstype or root.protocol, "from", root.source or root.path)))
        facts.append(("Root", kind if root.source or root.path else str(root.protocol or "")))
    if record.kernel is not None:
        facts.append(("Kernel", " ".join(filter(None, (record.kernel.release, record.kernel.build)))))
    if system is not None:
        facts += [("Command line", system.cmdline or "")]
        failed = text.listing(list(system.failed_units or ()))
        facts.append(("System", ", ".join(filter(None, (system.state, f"failed: {failed}" if failed else "")))))
    if record.clock_step_s:
        facts.append(
            ("Clock", f"was stepped by {record.clock_step_s:+.3f} s during the boot: durations are not to be trusted")
        )
    return [(name, value) for name, value in facts if value]


def _flat(value: Any, depth: int = 0) -> str:
    """A value of the machine's description in one line."""
    if isinstance(value, dict) and depth < 3:
        return ", ".join(f"{key}: {_flat(inner, depth + 1)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)) and depth < 3:
        return " ".join(_flat(inner, depth + 1) for inner in value)
    return text.one_line(str(value), 1000)
