# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's boot from power-on to verdict, with doubles for the gear: what every way of ending leaves behind."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from harness.boot.stages import STAGES
from harness.console.shell import Shell
from harness.errors import BootFailure, InfraError
from harness.result import Boot
from harness.run import Run
from harness.run.replay import read_record, replay
from tests.boot.stream import BUDGETS
from tests.lab.doubles import BOOT_TEXT, MemoryPort, Pty, make_board, raising

pytestmark = pytest.mark.gear


def test_a_boot_by_console_alone_reaches_the_prompt(run: Run, pty: Pty) -> None:
    board = make_board(run, pty, BOOT_TEXT)
    boot = board.boot()
    board.off()
    assert boot.verdict == "passed", boot.record.reason
    assert boot.stages.link.verdict == "passed"
    assert boot.stages.dhcp.verdict == "unseen"
    assert boot.stages.userspace.verdict == "passed"
    assert "pi login:" in boot.console.text
    assert all(boot.reached(name) for name in STAGES)


def test_all_files_are_kept_and_replay_to_the_same_record(run: Run, pty: Pty) -> None:
    board = make_board(run, pty, BOOT_TEXT)
    boot = board.boot()
    pty.say("later words that are not of the boot\r\n")
    board.off()
    for name in ("record.json", "console.log", "console.times", "power.jsonl", "expect.json", "harness.jsonl"):
        assert (boot.folder / name).stat().st_size > 0, name
    assert read_record(boot.folder / "record.json") == boot.record
    assert replay(boot.folder).model_copy(update={"artefacts": {}}) == boot.record.model_copy(update={"artefacts": {}})


def test_a_stage_that_does_not_come_fails_by_its_name_in_bounded_time(run: Run, pty: Pty) -> None:
    board = make_board(run, pty, BOOT_TEXT[:4], budgets={**BUDGETS, "initramfs": 0.3})
    boot = board.boot()
    board.off()
    assert boot.verdict == "failed(initramfs)"
    assert isinstance(boot.error, BootFailure)
    assert "was not done within 0.3 s" in boot.error.what
    assert boot.record.duration_s < 5


def rebooting(run: Run, pty: Pty, script: Sequence[str], **options: Any) -> tuple[Boot, list[str]]:
    """A board that has booted and is asked to reboot, upon which it says `script`; what its power port was asked."""
    port = MemoryPort()
    board = make_board(run, pty, BOOT_TEXT, power=port, **options)
    assert board.boot().verdict == "passed"
    board._shell = Shell(Mock())
    history = list(port.history)

    def answer() -> None:
        pty.hear(b"reboot; fi\n")
        for text in script:
            pty.say(text)

    with ThreadPoolExecutor(1) as pool:
        hearing = pool.submit(answer)
        boot = board.reboot()
        hearing.result()
    board.release()
    assert port.history == history, "its power was touched"
    return boot, [found.text for found in boot.record.stages[0].evidence]


def test_a_soft_reboot_is_followed_as_a_second_boot(run: Run, pty: Pty) -> None:
    before = ("The system is going down NOW!\r\n", "pi login: \r\n", "[   99.0] reboot: Restarting system\r\n")
    boot, evidence = rebooting(run, pty, (*before, *BOOT_TEXT))
    assert (boot.verdict, boot.folder.name) == ("passed", "pi4-a.2")
    power = boot.record.stages[0]
    assert (power.verdict, power.note) == ("passed", "soft reboot, no power edge")
    assert evidence == ["the system was asked to reboot", "[   99.0] reboot: Restarting system"]
    prompts = [found for found in boot.record.milestones if found.name == "login.prompt"]
    assert len(prompts) == 1, "the old system's prompt was taken for the new one's"
    assert replay(boot.folder).stages == boot.record.stages
    assert not (boot.folder / "power.jsonl").exists()


def test_a_system_that_does_not_go_down_is_named(run: Run, pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.board.board.SHUTDOWN", 0.3)
    boot, _ = rebooting(run, pty, ("sudo: a password is required\r\n", "pi login: "))
    assert boot.verdict == "failed(power)"
    (finding,) = [found for found in boot.findings if found.severity == "fault"]
    assert (finding.id, finding.stage) == ("reboot-not-done", "power")


def test_a_board_nobody_is_logged_in_on_is_not_asked_to_reboot(run: Run, pty: Pty) -> None:
    with pytest.raises(InfraError, match="nobody is logged in"):
        make_board(run, pty, BOOT_TEXT).reboot()


def test_a_panic_ends_the_watch_at_once(run: Run, pty: Pty) -> None:
    panic = "[    1.6] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"
    board = make_board(run, pty, [*BOOT_TEXT[:4], panic])
    boot = board.boot()
    board.off()
    assert boot.verdict == "failed(initramfs)"
    assert boot.record.duration_s < 5
    assert "Unable to mount root fs" in boot.findings[0].title


def test_a_power_port_that_refuses_is_the_labs_fault_and_names_the_remedy(run: Run, pty: Pty) -> None:
    board = make_board(run, pty, power=MemoryPort(refuse="port 7: denied, power budget"))
    boot = board.boot()
    assert boot.verdict == "infra"
    assert isinstance(boot.error, InfraError)
    assert boot.findings[0].title == "port 7: denied, power budget"
    assert boot.findings[0].remedy == "look at the switch"
    assert read_record(boot.folder / "record.json").verdict == "infra"


def test_a_console_that_vanishes_mid_boot_is_infra_with_the_gap_on_record(run: Run, pty: Pty) -> None:
    def pulled() -> None:
        console = board._console
        assert console is not None
        console.wait(lambda: "Booting Linux" in console.tail(), 10.0)
        pty.vanish()

    board = make_board(run, pty, BOOT_TEXT[:3], after=pulled)
    boot = board.boot()
    assert boot.verdict == "infra", boot.record.reason
    assert boot.record.console is not None
    assert boot.record.console.gaps
    assert "Booting Linux" in boot.console.text


def test_a_dead_emulator_ends_the_watch(run: Run, pty: Pty) -> None:
    error = InfraError("qemu-system-aarch64 is missing", remedy="apt install qemu-system-arm")
    boot = make_board(run, pty, BOOT_TEXT[:3], alive=raising(error)).boot()
    assert boot.verdict == "infra"
    assert "apt install" in boot.findings[0].remedy


def test_ctrl_c_leaves_a_record(run: Run, pty: Pty) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    board = make_board(run, pty, BOOT_TEXT[:3], alive=interrupt)
    with pytest.raises(KeyboardInterrupt):
        board.boot()
    board.off()
    record = read_record(run.folder / "pi4-a" / "record.json")
    assert record.verdict.startswith("failed(")
    assert "stopped by a person" in (run.folder / "pi4-a" / "harness.jsonl").read_text()


def test_each_boot_of_a_board_has_its_own_folder_and_power_is_cycled(run: Run, pty: Pty) -> None:
    power = MemoryPort()
    board = make_board(run, pty, BOOT_TEXT, power=power)
    first, second = board.boot(), board.boot()
    board.off()
    assert (first.folder.name, second.folder.name) == ("pi4-a", "pi4-a.2")
    assert power.history == ["on", "off", "on", "off"]
    assert first.passed
    assert second.passed


def test_a_killed_run_can_be_judged_from_what_it_left(run: Run, pty: Pty) -> None:
    board = make_board(run, pty, BOOT_TEXT[:5], budgets={**BUDGETS, "root": 0.2})
    folder = board.boot().folder
    board.off()
    for name in ("record.json", "harness.jsonl"):  # what a SIGKILL would not have let it write
        (folder / name).unlink()
    torn = (folder / "power.jsonl").read_text()
    (folder / "power.jsonl").write_text(torn[: len(torn) - 3])
    record = replay(folder)
    assert record.verdict == "failed(root)"
    assert record.stage("initramfs").verdict == "passed"


def test_a_full_disk_is_infra_and_says_where(run: Run, pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    board = make_board(run, pty, BOOT_TEXT)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InfraError, match="No space left on device") as caught:
        board.boot()
    assert str(run.folder) in caught.value.place
    assert "--reports" in caught.value.remedy


def test_power_edges_are_journaled_asked_before_confirmed(run: Run, pty: Pty) -> None:
    board = make_board(run, pty, BOOT_TEXT)
    boot = board.boot()
    board.off()
    rows = [json.loads(line) for line in (boot.folder / "power.jsonl").read_text().splitlines()]
    assert [(row.get("on"), row["phase"]) for row in rows[:3]] == [
        (None, "loss"),
        (True, "asked"),
        (True, "confirmed"),
    ]
    assert rows[1]["t"] <= rows[2]["t"]
