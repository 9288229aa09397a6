# SPDX-License-Identifier: GPL-2.0-or-later
"""The console was away: when, why, and which stages may have said something unheard."""

from harness.boot.events import ConsoleGap, Ended, Event, Milestone
from harness.boot.gaps import gaps_of
from harness.boot.judge import judge
from harness.boot.record import BootRecord, ConsoleInfo
from tests.boot.stream import T0, expectation, good_boot


def away(start: float, end: float | None, why: str = "unplugged") -> list[Event]:
    lost = ConsoleGap(T0 + start, 100, why, line=7)
    return [lost] if end is None else [lost, ConsoleGap(T0 + end, 100, "reopened", back=True, line=7)]


def judged(events: list[Event], **changes: object) -> BootRecord:
    return judge(expectation(**changes), events, console=ConsoleInfo(bytes=1000, lines=20))


def stage_at(record: BootRecord, name: str) -> tuple[float, float]:
    stage = record.stage(name)
    assert stage.start is not None
    assert stage.end is not None
    return stage.start - T0, stage.end - T0


GOOD = judged(list(good_boot()))


def test_losses_and_returns_are_paired() -> None:
    events = [e for e in [*away(1, 2), *away(3, None)] if isinstance(e, ConsoleGap)]
    first, second = gaps_of(events)
    assert (first.start, first.end, first.why, first.back) == (T0 + 1, T0 + 2, "unplugged", "reopened")
    assert (second.start, second.end) == (T0 + 3, None)
    assert gaps_of(events[1:2]) == (), "a return alone is of the time before this boot"


def test_a_gap_in_a_stage_stands_there_and_on_the_record() -> None:
    start, end = stage_at(GOOD, "userspace")
    record = judged([*good_boot(), *away(start + (end - start) / 3, start + (end - start) / 2)])
    assert record.verdict == "passed"
    assert record.console is not None
    (gap,) = record.console.gaps
    assert gap.stages == ("userspace",)
    assert f"the console was away for {gap.end - gap.start:.1f} s of it" in record.stage("userspace").note  # type: ignore[operator]
    assert [s.name for s in record.stages if "away" in s.note] == ["userspace"]
    (finding,) = [f for f in record.findings if f.id == "console-gap"]
    assert (finding.stage, finding.who, finding.severity) == ("userspace", "lab", "warning")
    assert "what userspace said then was not heard" in finding.title
    assert finding.evidence[0].ref == 7


def test_a_stage_that_showed_nothing_may_lie_in_the_gap() -> None:
    root = stage_at(GOOD, "root")
    initramfs = stage_at(GOOD, "initramfs")
    unheard = {"initramfs.mount_root", "initramfs.mount_done", "initramfs.start"}
    events = [e for e in good_boot() if not (isinstance(e, Milestone) and e.name in unheard)]
    record = judged([*events, *away(initramfs[0] + 0.01, root[1] - 0.01)], has_wire=False)
    unseen = [s for s in record.stages if s.verdict == "unseen"]
    assert unseen
    assert all("may lie in the gap" in s.note for s in unseen if s.name in {"initramfs"})
    assert record.console is not None
    assert "initramfs" in record.console.gaps[0].stages


def test_a_stage_that_failed_after_a_gap_says_so() -> None:
    login = stage_at(GOOD, "userspace")
    events = [e for e in good_boot() if e.t < T0 + login[0] + 0.01]
    record = judged([*events, *away(login[0] + 1, login[0] + 2), Ended(T0 + login[0] + 300, "deadline")])
    assert record.verdict == "failed(userspace)"
    assert "what was awaited may have been said in the gap" in record.stage("userspace").note


def test_what_packets_prove_is_not_in_doubt() -> None:
    start, end = stage_at(GOOD, "firmware")
    record = judged([*good_boot(), *away(start + 0.001, end - 0.001)])
    assert record.console is not None
    assert record.console.gaps[0].stages == ()
    assert not any("away" in s.note for s in record.stages)
    (finding,) = [f for f in record.findings if f.id == "console-gap"]
    assert "not heard" not in finding.title
    record = judged([*good_boot(), *away(start + 0.001, end - 0.001)], has_wire=False)
    assert record.console is not None
    assert "firmware" in record.console.gaps[0].stages


def test_a_gap_without_end_lasts_to_the_end() -> None:
    start, _ = stage_at(GOOD, "userspace")
    events = [e for e in good_boot() if e.t < T0 + start + 0.01]
    record = judged([*events, *away(start + 1, None), Ended(T0 + start + 30, "infra", "the console vanished")])
    assert record.verdict == "infra"
    assert record.console is not None
    assert record.console.gaps[0].end is None
    assert any("did not come back" in f.title for f in record.findings)


def test_a_gap_that_began_before_power_on_counts_until_the_console_is_back() -> None:
    _, end = stage_at(GOOD, "kernel")
    record = judged([*good_boot(), *away(-5, end - 0.001)])
    assert record.console is not None
    (gap,) = record.console.gaps
    assert gap.start < record.started
    assert "kernel" in gap.stages
    record = judged([*good_boot(), *away(-5, -4)])
    assert record.console is not None
    assert record.console.gaps == ()
