# SPDX-License-Identifier: GPL-2.0-or-later
"""Stages: what ends them, what they are called when they did not, and that no order of events breaks the judge."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.boot.events import ClockStep, Ended, FirstFrame, NfsMount
from harness.boot.judge import judge
from harness.boot.marks import REFUSALS, ROUNDS
from harness.boot.record import BootRecord
from harness.boot.stages import STAGES
from harness.boot.tracker import StageTracker
from tests.boot import stream
from tests.boot.stream import T0, expectation, good_boot, line


def verdicts(record: BootRecord) -> dict[str, str]:
    return {stage.name: stage.verdict for stage in record.stages}


def test_a_good_boot_passes_all_nine_stages() -> None:
    record = judge(expectation(), good_boot())
    assert record.verdict == "passed"
    assert record.failed_stage is None
    assert set(verdicts(record).values()) == {"passed"}
    assert [stage.name for stage in record.stages] == list(STAGES)


def test_network_stages_carry_the_stamps_of_their_packets() -> None:
    record = judge(expectation(), good_boot())
    assert record.stage("dhcp").start == T0 + 5.3
    assert record.stage("dhcp").end == T0 + 5.6
    assert record.stage("firmware").start == T0 + 5.8
    assert record.stage("firmware").end == record.tftp[-1].end
    assert [e.ref for e in record.stage("dhcp").evidence] == [1, 2, 4]


def test_stages_of_the_kernel_leave_no_gap_between_them() -> None:
    record = judge(expectation(), good_boot())
    chain = [record.stage(name) for name in STAGES[3:]]
    for before, after in itertools.pairwise(chain):
        assert after.start == before.end, (before.name, after.name)


def test_the_order_in_which_events_arrive_does_not_matter() -> None:
    assert judge(expectation(), reversed(good_boot())) == judge(expectation(), good_boot())


def test_a_stage_over_its_budget_is_late_and_fails_the_boot() -> None:
    record = judge(expectation(budgets={**stream.BUDGETS, "userspace": 5.0}), good_boot())
    assert record.stage("userspace").verdict == "late"
    assert record.verdict == "failed(userspace)"
    assert record.findings[0].id == "over-budget"


def test_until_stops_asking() -> None:
    events = [*stream.power_on(), *stream.network(), Ended(t=T0 + 6, reason="until")]
    record = judge(expectation(until="dhcp"), events)
    assert record.verdict == "passed"
    assert record.stage("kernel").verdict == "not asked"


def test_a_boot_rom_that_never_requests_is_done_with_dhcp_at_its_offer() -> None:
    events = [*stream.power_on(), *stream.network()[:4], *stream.files()]
    tracker = StageTracker(expectation())
    for event in events:
        tracker.feed(event)
    assert tracker.marks["dhcp"].end == T0 + 5.4
    assert "OFFER was taken" in tracker.marks["dhcp"].note


def test_a_static_address_leaves_dhcp_unseen() -> None:
    record = judge(expectation(), [*stream.power_on(), *stream.files(), *stream.system()])
    assert record.stage("dhcp").verdict == "unseen"
    assert record.verdict == "passed"


def test_without_console_lines_for_the_initramfs_it_is_unseen_not_failed() -> None:
    events = [e for e in good_boot() if getattr(e, "name", "") not in {"initramfs.mount_root", "kernel.init"}]
    record = judge(expectation(), events)
    assert record.stage("initramfs").verdict == "unseen"
    assert record.verdict == "passed"


@pytest.mark.parametrize(
    ("name", "at", "stage"),
    [
        ("kernel.panic", 9.0, "kernel"),
        ("kernel.panic", 12.5, "root"),
        ("initramfs.shell", 12.5, "root"),
        ("initramfs.shell", 11.0, "initramfs"),
        ("systemd.emergency", 20.0, "userspace"),
    ],
)
def test_a_fatal_line_fails_the_stage_that_it_falls_into(name: str, at: float, stage: str) -> None:
    events = [e for e in good_boot() if e.t < T0 + at]
    record = judge(expectation(), [*events, line(at, 500, name, "the end"), Ended(t=T0 + at, reason="fatal")])
    assert record.verdict == f"failed({stage})"
    assert record.findings[0].severity == "fault"
    assert any(e.ref == 500 for finding in record.findings for e in finding.evidence)


def test_a_bootloader_that_goes_round_in_circles_is_given_up() -> None:
    missing = stream.transfer(5.8, 10, "91cdf03d/start4.elf", "not found")
    tracker = StageTracker(expectation())
    for event in [*stream.power_on(), *stream.network(), *missing]:
        tracker.feed(event)
    for number in range(1, ROUNDS + 1):
        assert not tracker.lost
        tracker.feed(line(6.0 + number, 100 + number, "bootloader.restart", f"Restart {number} max -1"))
    assert tracker.failed_at == "firmware"
    assert "anew 5 times" in tracker.marks["firmware"].note


def test_a_server_that_refuses_the_mount_again_and_again_is_not_waited_for() -> None:
    tracker = StageTracker(expectation())
    for event in [*stream.power_on(), *stream.network(), *stream.files(), *stream.system()[:3]]:
        tracker.feed(event)
    for number in range(REFUSALS):
        assert not tracker.lost
        tracker.feed(NfsMount(t=T0 + 13 + number, packet=900, server_ip=stream.SERVER, path="/x", status=13))
    assert tracker.failed_at == "root"
    assert "refused the mount" in tracker.lost


@pytest.mark.parametrize(
    ("text", "given_up"),
    [
        ("mount call failed - server replied: Permission denied.", True),
        ("bad option 'proto=tcp'", True),
        ("NFS over TCP not available from 10.77.0.1", False),
        ("connect: Connection refused", False),
    ],
)
def test_only_a_server_that_is_there_can_refuse_a_mount(text: str, given_up: bool) -> None:
    """One that is away may come back: the initramfs asks on, and the stage's budget decides."""
    tracker = StageTracker(expectation())
    for event in [*stream.power_on(), *stream.network(), *stream.files(), *stream.system()[:3]]:
        tracker.feed(event)
    for number in range(REFUSALS + 2):
        tracker.feed(line(13 + number, 150 + number, "initramfs.mount_error", text))
    assert bool(tracker.lost) == given_up


def test_a_kernel_that_was_delivered_and_says_nothing_is_the_kernels_failure() -> None:
    events = [*stream.power_on(), *stream.network(), *stream.files(), Ended(t=T0 + 80, reason="deadline")]
    tracker = StageTracker(expectation())
    for event in events:
        tracker.feed(event)
    assert tracker.current == "kernel"
    assert tracker.deadline() == T0 + 7.6 + 30.0 * 2.0
    record = judge(expectation(), events)
    assert record.verdict == "failed(kernel)"
    assert record.stage("firmware").verdict == "passed"
    assert record.findings[0].id == "kernel-silent"


def test_a_firmware_that_asks_on_after_a_kernel_is_not_done() -> None:
    tracker = StageTracker(expectation())
    for event in [*stream.power_on(), *stream.network(), *stream.files(), *stream.transfer(8, 200, "x/initramfs8")]:
        tracker.feed(event)
    assert tracker.current == "firmware"


def test_a_shell_of_the_initramfs_is_not_a_login() -> None:
    events = [e for e in good_boot() if e.t < T0 + 12.5]
    record = judge(expectation(), [*events, line(12.4, 91, "shell.prompt"), Ended(t=T0 + 60, reason="deadline")])
    assert record.verdict == "failed(root)"


def test_infra_is_never_called_a_failure_of_the_board() -> None:
    events = [*stream.power_on(), Ended(t=T0 + 3, reason="infra", detail="console gone", remedy="plug it in")]
    record = judge(expectation(), events)
    assert record.verdict == "infra"
    assert record.failed_stage is None
    assert record.findings[0].title == "console gone"
    assert record.findings[0].remedy == "plug it in"


def test_a_killed_run_says_where_it_was() -> None:
    record = judge(expectation(), [*stream.power_on(), *stream.network()])
    assert record.verdict == "failed(firmware)"
    assert record.stage("firmware").verdict == "not reached"


def test_a_person_who_stops_a_boot_is_not_the_boards_fault() -> None:
    events = [*stream.power_on(), *stream.network(), Ended(t=T0 + 7, reason="stopped", detail="stopped by a person")]
    record = judge(expectation(), events)
    assert record.reason == "stopped by a person while stage firmware was awaited"
    assert record.findings == ()


def test_what_comes_after_the_end_does_not_change_the_record() -> None:
    later = [*good_boot(), line(60.0, 900, "kernel.panic", "long after the login")]
    assert judge(expectation(), later) == judge(expectation(), good_boot())


def test_a_clock_step_is_on_the_record() -> None:
    record = judge(expectation(), [*good_boot()[:-1], ClockStep(t=T0 + 3, seconds=2.5), good_boot()[-1]])
    assert record.clock_step_s == 2.5


def test_deadlines_begin_where_the_stage_before_ended() -> None:
    tracker = StageTracker(expectation())
    for event in [*stream.power_on(), *stream.network()]:
        tracker.feed(event)
    assert tracker.current == "firmware"
    assert tracker.deadline() == T0 + 5.6 + 60.0 * 2.0


def test_no_login_asked_ends_at_the_prompt() -> None:
    events = [e for e in good_boot() if getattr(e, "name", "") not in {"shell.prompt", "probe.value"}]
    record = judge(expectation(login_user=None), events)
    assert record.verdict == "passed"
    assert "no login was asked" in record.stage("login").note


def test_frames_of_another_board_do_not_bring_the_link_up() -> None:
    tracker = StageTracker(expectation())
    for event in stream.power_on():
        tracker.feed(event)
    tracker.feed(FirstFrame(t=T0 + 1, packet=1, mac="02:00:00:00:00:99", ethertype=0x0806))
    assert not tracker.marks["link"].done


def test_a_lease_that_the_system_renews_is_an_exchange_of_its_own_and_changes_nothing_else() -> None:
    """RFC 2131 4.4.5: a REQUEST by unicast with ciaddr, no DISCOVER before it."""
    renewal = {
        "xid": 0x0BADCAFE,
        "ciaddr": "10.77.0.50",
        "dst_ip": stream.SERVER,
        "options": ((60, b"Linux ipconfig"),),
    }
    request = stream.dhcp(35.0, 990, "REQUEST", **renewal)
    ack = stream.dhcp(35.1, 991, "ACK", xid=0x0BADCAFE, options=((54, bytes([10, 77, 0, 1])),))
    record = judge(expectation(), [*good_boot(), request, ack])
    assert [(exchange.client, exchange.result) for exchange in record.dhcp] == [("firmware", "ack"), ("os", "ack")]
    assert record.dhcp[1].discovers == 0
    assert record.stages == judge(expectation(), good_boot()).stages


def test_the_record_survives_json() -> None:
    record = judge(expectation(), good_boot())
    assert BootRecord.model_validate_json(record.model_dump_json()) == record


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_any_part_of_a_boot_in_any_order_is_judged_without_an_exception(data: st.DataObject) -> None:
    events = data.draw(st.lists(st.sampled_from(good_boot()), max_size=40))
    shifted = [replace(event, t=event.t + data.draw(st.floats(-50, 50))) for event in events]
    record = judge(expectation(), shifted)
    assert record.verdict.startswith(("passed", "failed("))
    for stage in record.stages:
        if stage.duration_s is not None:
            assert stage.duration_s >= 0


NO_ROOT = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(179,2)"


def test_a_kernel_that_finds_no_root_failed_in_root_unless_its_initramfs_was_broken() -> None:
    before = [*stream.power_on(), *stream.network(), *stream.files(), stream.system()[0]]
    panic = line(9.5, 70, "kernel.panic", NO_ROOT)
    record = judge(expectation(), [*before, panic, Ended(t=T0 + 20, reason="deadline")])
    assert record.verdict == "failed(root)"
    assert record.stage("kernel").verdict == "unseen"
    broken = line(9.0, 60, "kernel.initramfs_error", "Initramfs unpacking failed: broken padding")
    assert judge(expectation(), [*before, broken, panic]).verdict == "failed(kernel)"


def test_files_of_a_payload_are_not_the_firmwares() -> None:
    uboot = stream.transfer(9.0, 500, "boot.scr", asked_by="u-boot")
    uboot[0] = replace(uboot[0], asked_by="u-boot")  # type: ignore[arg-type]
    record = judge(expectation(), [*stream.power_on(), *stream.network(), *stream.files(), *uboot])
    assert record.stage("firmware").end == T0 + 7.6
    assert record.tftp[-1].asked_by == "u-boot"
