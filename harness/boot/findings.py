# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings: named causes with their evidence, who is to act, and what to change.

Each rule is a function of the facts that yields findings. `find` gives the faults that explain the failed stage first, in
the order of the boot, then the warnings.
"""

from collections.abc import Callable, Iterator

from harness.boot.facts import Facts, line
from harness.boot.findings_block import BLOCK_RULES
from harness.boot.findings_console import console_gaps, console_garbled, console_mute
from harness.boot.findings_described import DESCRIBED_RULES
from harness.boot.findings_net import NET_RULES
from harness.boot.findings_os import OS_RULES
from harness.boot.record import Evidence, Finding
from harness.boot.restart import NOTE
from harness.boot.stages import STAGES

Rule = Callable[[Facts], Iterator[Finding]]


def infra(facts: Facts) -> Iterator[Finding]:
    """The lab's own gear ended the boot."""
    ended = facts.ended
    if ended is not None and ended.reason in {"infra", "config"}:
        yield Finding(
            id=ended.reason,
            title=ended.detail,
            stage=next((stage.name for stage in facts.stages if stage.verdict == "not reached"), STAGES[-1]),
            who="lab" if ended.reason == "infra" else "config",
            remedy=ended.remedy,
            evidence=(Evidence(source="harness", t=ended.t, text=ended.detail),),
        )


def capture_loss(facts: Facts) -> Iterator[Finding]:
    """Lost packets make transfers look incomplete: say so before anyone blames the server."""
    if facts.capture is not None and (facts.capture.dropped or not facts.capture.complete):
        lost = f"{facts.capture.dropped} packets" if facts.capture.dropped else "its end"
        yield Finding(
            id="capture-incomplete",
            title=f"the capture lost {lost}: what the wire shows of this boot is not whole",
            stage="dhcp",
            who="lab",
            remedy="give the capturing host more CPU, or narrow `filter:` of the wire in lab.yaml",
            severity="warning",
        )


#: Seconds: a comparison that is worse than this puts packets and console lines into the wrong order.
_TOO_UNSURE = 0.1


def capture_clock(facts: Facts) -> Iterator[Finding]:
    """Stamps of another host's clock are only as good as what is known of it."""
    clock = facts.capture.clock if facts.capture is not None else None
    if clock is None:
        return
    if clock.stepped:
        what = (
            f"the clock of {clock.host}, which captured, moved by {clock.drift_s:+.3f} s against ours during the boot"
        )
    elif clock.uncertainty_s > _TOO_UNSURE:
        what = f"the clock of {clock.host}, which captured, is known to ± {clock.uncertainty_s:.2f} s only"
    else:
        return
    yield Finding(
        id="capture-clock",
        title=f"{what}: times of packets against those of console and power are not to be trusted",
        stage="dhcp",
        who="lab",
        remedy=f"let one NTP server steer this host and {clock.host} (chrony), and look at the network between them",
        severity="warning",
    )


def reboot_not_done(facts: Facts) -> Iterator[Finding]:
    """The system was asked to reboot, and nothing shows that the board was reset."""
    power = facts.stages[0]
    if facts.failed == "power" and power.note == NOTE:
        yield Finding(
            id="reboot-not-done",
            title=f"the system was asked to reboot, and the board was not reset within {power.duration_s or 0:.0f} s",
            stage="power",
            who="board",
            remedy="look at the console's last lines: a unit that does not stop, a user who may not reboot (sudo), or a kernel "
            "that hangs in its restart",
            evidence=power.evidence,
        )


def late(facts: Facts) -> Iterator[Finding]:
    """Done, but over its budget."""
    for stage in facts.stages:
        if stage.verdict == "late":
            yield Finding(
                id="over-budget",
                title=f"stage {stage.name} took {stage.duration_s:.1f} s of a budget of {stage.budget_s:g} s",
                stage=stage.name,
                who="server" if stage.name in {"dhcp", "firmware", "root"} else "board",
                remedy=f"compare with an earlier run; if this is the new normal, raise {stage.name} under `budgets:`",
                evidence=stage.evidence[-1:],
            )


RULES: tuple[Rule, ...] = (
    infra,
    reboot_not_done,
    console_garbled,
    console_mute,
    *NET_RULES,
    *BLOCK_RULES,
    *OS_RULES,
    *DESCRIBED_RULES,
    late,
    console_gaps,
    capture_loss,
    capture_clock,
)


def find(facts: Facts) -> tuple[Finding, ...]:
    """All findings; faults first."""
    found = [finding for rule in RULES for finding in rule(facts)]
    found.extend(_unexplained(facts, found))
    return tuple(
        sorted(found, key=lambda finding: (finding.severity == "warning", finding.id not in {"infra", "config"}))
    )


def _unexplained(facts: Facts, found: list[Finding]) -> Iterator[Finding]:
    """A failed stage must never be left without a word."""
    failed = facts.failed
    if failed is None or any(finding.severity == "fault" for finding in found):
        return
    stage = next(stage for stage in facts.stages if stage.name == failed)
    last = facts.milestones[-1] if facts.milestones else None
    seen = (
        f"the last console line that was understood: {last.text[:120]!r}"
        if last
        else "nothing was understood on the console"
    )
    yield Finding(
        id=f"{failed}-stalled",
        title=f"stage {failed} did not end; {seen}",
        stage=failed,
        who="board",
        remedy="read the console and the capture around the last evidence of this stage",
        evidence=(*stage.evidence[-2:], *((line(last),) if last else ())),
    )
