# SPDX-License-Identifier: GPL-2.0-or-later
"""A boot that began with a reboot of the running system: what is of that system, and what of the new boot."""

import pytest

from harness.boot.events import DhcpMessage, Ended, Event, FirstFrame, Milestone, NfsMount, RootConnect, SoftReboot
from harness.boot.judge import judge
from harness.boot.record import BootRecord
from harness.boot.restart import NOTE, SHUTDOWN
from harness.boot.tracker import StageTracker
from tests.boot import stream
from tests.boot.stream import SERVER, T0

#: What the old system does and says on its way down.
DOWN: tuple[Event, ...] = (
    FirstFrame(t=T0 + 0.1, packet=1, mac=stream.expectation().mac, ethertype=0x800),
    RootConnect(t=T0 + 0.2, packet=2, protocol="nfs", server_ip="10.77.0.250", port=2049),
    NfsMount(t=T0 + 0.3, packet=3, server_ip="10.77.0.250", path="/old", status=13),
    stream.line(0.4, 1, "shell.prompt", "piboot> "),
    stream.line(0.5, 2, "systemd.emergency", "You are in emergency mode"),
)
ASKED = SoftReboot(t=T0 + 0.05, detail="the system was asked to reboot")
RESTART = stream.line(1.0, 3, "os.reboot", "reboot: Restarting system")


def judged(*events: Event) -> BootRecord:
    budgets = {**stream.BUDGETS, "power": SHUTDOWN}
    return judge(stream.expectation(budgets=budgets), [ASKED, *events])


def later() -> list[Event]:
    return [event for event in stream.good_boot() if event not in stream.power_on()]


def test_the_boot_begins_with_the_reset() -> None:
    record = judged(*DOWN, RESTART, *later())
    assert record.verdict == "passed", record.reason
    power, link = record.stages[:2]
    assert (power.start, power.end, power.note) == (ASKED.t, RESTART.t, NOTE)
    assert [found.text for found in power.evidence] == [ASKED.detail, RESTART.text]
    assert link.start == RESTART.t
    assert record.root is not None
    assert (record.root.server, record.root.path) == (SERVER, "/srv/nfs/91cdf03d")
    assert next(milestone.name for milestone in record.milestones) == "os.reboot"


def test_a_quiet_console_leaves_it_to_the_first_packet_of_the_firmware() -> None:
    quiet = [event for event in later() if not (isinstance(event, Milestone) and event.name.startswith("net."))]
    record = judged(*DOWN, *quiet)
    assert record.verdict == "passed", record.reason
    assert record.stages[0].end == next(event.t for event in quiet if isinstance(event, DhcpMessage))
    assert record.stages[0].evidence[-1].source == "packet"


@pytest.mark.parametrize("seen", [(), DOWN])
def test_without_a_reset_it_fails_before_its_first_stage(seen: tuple[Event, ...]) -> None:
    record = judged(*seen, Ended(t=T0 + 200, reason="deadline", detail="stage power was not done within 240 s"))
    assert record.verdict == "failed(power)"
    assert record.findings[0].id == "reboot-not-done"
    assert record.root is None


def test_a_watch_sees_the_same_as_the_judge() -> None:
    tracker = StageTracker(stream.expectation())
    for event in (ASKED, *DOWN, RESTART):
        tracker.feed(event)
    assert (tracker.current, tracker.lost) == ("link", "")
    assert tracker.marks["power"].end == RESTART.t
