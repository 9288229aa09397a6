# SPDX-License-Identifier: GPL-2.0-or-later
"""The judge: the events of one boot -> its record. Pure: the same events give the same record, live or replayed."""

from collections.abc import Iterable, Sequence
from typing import Any

from harness.boot import dhcp, seen
from harness.boot.events import (
    Began,
    ClockStep,
    ConsoleGap,
    DhcpMessage,
    Ended,
    Event,
    HttpEnded,
    Milestone,
    Noted,
    PowerEdge,
    SoftReboot,
    TransferEnded,
    TransferStarted,
)
from harness.boot.expect import Expectation
from harness.boot.facts import Facts
from harness.boot.findings import find
from harness.boot.gaps import gaps_of, with_gaps
from harness.boot.marks import Mark
from harness.boot.record import (
    BootRecord,
    CaptureInfo,
    ConsoleInfo,
    MilestoneSeen,
    Stage,
    StageVerdict,
)
from harness.boot.restart import since_reset
from harness.boot.stages import STAGES
from harness.boot.tracker import StageTracker

#: Which event comes first when two have the same stamp: cause before effect.
_ORDER = {"PowerEdge": 0, "SoftReboot": 0, "Began": 0, "Ended": 9}


def in_order(events: Iterable[Event]) -> list[Event]:
    """By time; events of one source keep the order in which they came."""
    return sorted(events, key=lambda event: (event.t, _ORDER.get(type(event).__name__, 5)))


def _of_this_boot(ordered: list[Event]) -> list[Event]:
    """From power-on to the end of the watch: what a board said before, and the shell's later words, are not of this boot."""
    on = next((event.t for event in ordered if _begins(event)), None)
    end = next((event.t for event in ordered if isinstance(event, Ended)), None)
    return since_reset(
        [event for event in ordered if (on is None or event.t >= on) and (end is None or event.t <= end)]
    )


def _begins(event: Event) -> bool:
    return isinstance(event, SoftReboot | Began) or (isinstance(event, PowerEdge) and event.on)


def judge(
    expectation: Expectation,
    events: Iterable[Event],
    *,
    capture: CaptureInfo | None = None,
    console: ConsoleInfo | None = None,
    machine: dict[str, Any] | None = None,
    harness_version: str = "",
    artefacts: dict[str, str] | None = None,
) -> BootRecord:
    """The record of one boot. Events may come in any order."""
    everything = in_order(events)
    notes = tuple(event.text for event in everything if isinstance(event, Noted))
    everything = [event for event in everything if not isinstance(event, Noted)]
    ordered = _of_this_boot(everything)
    tracker = StageTracker(expectation)
    for event in ordered:
        tracker.feed(event)
    tracker.close()
    ended = next((event for event in ordered if isinstance(event, Ended)), None)
    stages = _stages(tracker, ended)
    started = _started(ordered)
    end = ended.t if ended is not None else (ordered[-1].t if ordered else started)
    # Also one that began before power-on: it is over when the console is back.
    gaps = gaps_of(event for event in everything if isinstance(event, ConsoleGap) and event.t <= end)
    gaps = tuple(gap for gap in gaps if gap.end is None or gap.end >= started)
    stages, gaps = with_gaps(stages, gaps, expectation, end)
    if console is not None:
        console = console.model_copy(update={"gaps": gaps})
    facts = Facts(
        expectation=expectation,
        stages=stages,
        dhcp=dhcp.exchanges(
            (event for event in ordered if isinstance(event, DhcpMessage)),
            [event for event in ordered if isinstance(event, TransferStarted)],
        ),
        tftp=tuple(event.transfer for event in ordered if isinstance(event, TransferEnded)),
        http=tuple(event.fetch for event in ordered if isinstance(event, HttpEnded)),
        milestones=tuple(event for event in ordered if isinstance(event, Milestone)),
        root=seen.root(ordered),
        os=seen.system(ordered),
        console=console,
        ended=ended,
        capture=capture,
        fatal=tracker.fatal,
        saw_board=any(type(event).__name__ == "FirstFrame" for event in ordered),
    )
    verdict, failed_stage = _verdict(stages, ended)
    findings = find(facts)
    return BootRecord(
        harness_version=harness_version,
        board=expectation.board,
        model=expectation.model,
        serial_number=expectation.serial_number,
        mac=expectation.mac,
        started=started,
        ended=end,
        duration_s=round(end - started, 6),
        verdict=verdict,
        failed_stage=failed_stage,
        reason=_reason(facts, verdict, failed_stage, findings[0].title if findings else ""),
        stages=stages,
        dhcp=facts.dhcp,
        tftp=facts.tftp,
        http=facts.http,
        root=facts.root,
        kernel=seen.kernel(facts),
        os=facts.os,
        milestones=tuple(
            MilestoneSeen(name=m.name, t=m.t, line=m.line, text=m.text, fields=dict(m.fields)) for m in facts.milestones
        ),
        capture=capture,
        console=console,
        power_loss=seen.power_loss(everything),
        machine=machine,
        clock_step_s=sum(event.seconds for event in ordered if isinstance(event, ClockStep)),
        findings=findings,
        notes=notes,
        artefacts=artefacts or {},
    )


def _started(ordered: Sequence[Event]) -> float:
    asked = next((event.t for event in ordered if _begins(event)), None)
    return asked if asked is not None else (ordered[0].t if ordered else 0.0)


def _stages(tracker: StageTracker, ended: Ended | None) -> tuple[Stage, ...]:
    expectation = tracker.expectation
    last_asked = STAGES.index(expectation.until)
    culprit = _culprit(tracker, ended)
    return tuple(
        _stage(mark, expectation.budgets.get(name), asked=index <= last_asked, culprit=culprit, ended=ended)
        for index, (name, mark) in enumerate(tracker.marks.items())
    )


def _culprit(tracker: StageTracker, ended: Ended | None) -> str | None:
    """The stage that failed: where the fatal line fell, or the first that was awaited and did not come."""
    if tracker.lost:
        return tracker.failed_at
    if ended is None or ended.reason in {"infra", "config", "stopped"}:
        return None
    return tracker.current


def _stage(mark: Mark, budget: float | None, *, asked: bool, culprit: str | None, ended: Ended | None) -> Stage:
    duration = None
    verdict: StageVerdict
    start, end = mark.start, mark.end
    if mark.name == culprit:
        verdict = "failed"
        end = end if end is not None else (ended.t if ended is not None else None)
    elif not mark.done:
        verdict = "not reached" if asked else "not asked"
    elif mark.inferred:
        verdict = "unseen"
    else:
        verdict = "passed"
    if start is not None and end is not None:
        start = min(start, end)
        duration = round(end - start, 6)
        if verdict == "passed" and budget is not None and duration > budget:
            verdict = "late"
    note = mark.note
    if verdict == "failed" and not note and not mark.done and budget is not None:
        note = f"not done within its time (budget {budget:g} s)"
    return Stage(
        name=mark.name,
        start=start,
        end=end,
        duration_s=duration,
        budget_s=budget,
        verdict=verdict,
        evidence=tuple(mark.evidence),
        note=note,
    )


def _verdict(stages: Sequence[Stage], ended: Ended | None) -> tuple[str, str | None]:
    if ended is not None and ended.reason in {"infra", "config"}:
        return ended.reason, None
    for wanted in ("failed", "late"):
        for stage in stages:
            if stage.verdict == wanted:
                return f"failed({stage.name})", stage.name
    missing = next((stage for stage in stages if stage.verdict == "not reached"), None)
    if missing is not None:  # cut short by a person, or a killed run: what was awaited was not seen
        return f"failed({missing.name})", missing.name
    return "passed", None


def _reason(facts: Facts, verdict: str, failed_stage: str | None, title: str) -> str:
    if verdict == "passed":
        return (
            f"login reached in {_total(facts.stages):.1f} s"
            if facts.expectation.until == "login"
            else "as far as asked"
        )
    if verdict in {"infra", "config"} and facts.ended is not None:
        return facts.ended.detail
    if facts.ended is not None and facts.ended.reason == "stopped":
        return f"{facts.ended.detail} while stage {failed_stage} was awaited"
    return title or f"the boot ended in stage {failed_stage}"


def _total(stages: Sequence[Stage]) -> float:
    ends = [stage.end for stage in stages if stage.end is not None]
    starts = [stage.start for stage in stages if stage.start is not None]
    return max(ends) - min(starts) if ends and starts else 0.0
