# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings about the console itself."""

import pytest

from harness.boot.events import Ended, Milestone
from harness.boot.judge import judge
from harness.boot.record import BootRecord, ConsoleInfo
from tests.boot import stream
from tests.boot.stream import T0, expectation, good_boot


def by_wire(console: ConsoleInfo | None, **changes: object) -> BootRecord:
    """All that the wire shows of a good boot; the kernel was not heard."""
    events = [event for event in good_boot() if not isinstance(event, (Milestone, Ended))]
    return judge(expectation(**changes), [*events, Ended(T0 + 300, "deadline")], console=console)


def ids(record: BootRecord) -> list[str]:
    return [finding.id for finding in record.findings]


def test_garbage_is_the_first_thing_to_say_of_a_kernel_that_was_not_understood() -> None:
    record = by_wire(ConsoleInfo(bytes=9000, binary=8000))
    assert record.verdict == "failed(kernel)"
    finding = record.findings[0]
    assert (finding.id, finding.who, finding.severity) == ("console-garbled", "config", "fault")
    assert "8000 of 9000 octets" in finding.title
    assert "baud:" in finding.remedy
    assert "kernel-silent" not in ids(record), "nobody knows whether it was"


def test_a_boot_that_passed_is_warned() -> None:
    record = judge(expectation(), good_boot(), console=ConsoleInfo(bytes=9000, binary=2000))
    assert record.passed
    assert [(f.id, f.severity) for f in record.findings] == [("console-garbled", "warning")]


@pytest.mark.parametrize(("whole", "binary"), [(9000, 0), (9000, 400), (60, 60)])
def test_a_few_spikes_are_nothing(whole: int, binary: int) -> None:
    record = by_wire(ConsoleInfo(bytes=whole, binary=binary))
    assert ids(record) == ["kernel-silent"]


def test_a_console_that_says_nothing_while_packets_come() -> None:
    record = by_wire(ConsoleInfo(bytes=0))
    assert ids(record) == ["console-mute"]
    assert record.findings[0].who == "lab"
    assert "TX" in record.findings[0].remedy
    assert ids(by_wire(None)) == ["kernel-silent"]


def test_without_a_wire_garbage_is_all_there_is() -> None:
    record = judge(
        expectation(has_wire=False),
        [*stream.power_on(), Ended(T0 + 60, "deadline")],
        console=ConsoleInfo(bytes=500, binary=500),
    )
    assert record.verdict == "failed(link)"
    assert record.findings[0].id == "console-garbled"
