# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of a boot, in words: the outcome, the verdict for people, one sentence. The same on page and terminal."""

from typing import Literal

from harness.boot.record import BootRecord, Evidence
from harness.report import text
from harness.report.svg import finite
from harness.report.timeline import power_on

Outcome = Literal["passed", "late", "failed", "infra", "config", "unfinished", "unreadable"]

#: Worst first: what somebody must act on stands on top of the page.
ORDER: tuple[Outcome, ...] = ("failed", "infra", "config", "unreadable", "unfinished", "late", "passed")

#: Finding.who -> who that is.
WHO = {
    "server": "whoever runs the netboot server",
    "board": "whoever owns the board",
    "lab": "whoever runs the lab's gear",
    "config": "whoever wrote lab.yaml",
    "network": "whoever runs the network",
}

_PLACES = {"packet": "packet {:,}", "console": "line {:,}", "power": "power.jsonl line {:,}", "harness": "harness {:,}"}


def outcome(record: BootRecord) -> Outcome:
    """The verdict as one of a few; "late" for a boot that passed with a stage over its budget."""
    match record.verdict:
        case "passed":
            return "late" if any(stage.verdict == "late" for stage in record.stages) else "passed"
        case "infra":
            return "infra"
        case "config":
            return "config"
        case "unfinished":
            return "unfinished"
    return "failed"


def verdict(record: BootRecord) -> str:
    """The verdict for people: "failed at dhcp", "passed, late"."""
    failed = f"failed at {record.failed_stage}" if record.failed_stage else "failed"
    words: dict[Outcome, str] = {
        "passed": "passed",
        "late": "passed, late",
        "failed": failed,
        "infra": "lab gear failed",
        "config": "configuration wrong",
        "unfinished": "not finished",
        "unreadable": "no readable record",
    }
    return words[outcome(record)]


def sentence(record: BootRecord) -> str:
    """What became of the boot, in one sentence."""
    if outcome(record) not in ("passed", "late"):
        faults = [finding.title for finding in record.findings if finding.severity == "fault"]
        known = record.reason or (f"{faults[0]}." if faults else "")
        return known or f"The verdict is {record.verdict}; the record gives no reason."
    end = max(finite(stage.end for stage in record.stages), default=record.ended)
    reached = next((stage.name for stage in reversed(record.stages) if stage.end is not None), "the end")
    spent = text.duration(end - power_on(record))
    over = [
        f"{stage.name} took {text.duration(stage.duration_s)} of {text.budget(stage.budget_s)}"
        for stage in record.stages
        if stage.verdict == "late"
    ]
    if over:
        return f"From power-on to {reached} in {spent}, but {text.listing(over)}."
    return f"From power-on to {reached} in {spent}, every stage within its budget."


def place(evidence: Evidence) -> str:
    """Where an observation stands: "packet 17", "line 253"; only the source when there is no number."""
    return _PLACES[evidence.source].format(evidence.ref) if evidence.ref else evidence.source
