# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots that somebody else starts: when they begin, what of the past is not of them, whose power it is not."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.board.beginning import Beginning
from harness.board.watch import Blind
from harness.boot.begins import begins
from harness.boot.events import Began, Event, FirstFrame, Milestone, TransferStarted
from harness.boot.judge import judge
from harness.errors import InfraError
from harness.result import Boot
from harness.run import Run
from harness.run.replay import replay
from tests.boot import stream
from tests.boot.stream import MAC, T0
from tests.lab.doubles import BOOT_TEXT, MemoryPort, Pty, make_board
from tests.sharing.labs import end, piboot
from tests.stand_ins import small_boot_files
from tests.wire.test_capture import until


def milestone(name: str, t: float = 0.0) -> Milestone:
    return Milestone(T0 + t, 1, name, f"words of {name}")


def test_what_shows_that_a_boot_begins() -> None:
    assert begins(stream.dhcp(1.0, 1, "DISCOVER"), MAC) == "DHCP DISCOVER of its firmware"
    assert begins(stream.dhcp(1.0, 1, "DISCOVER"), "dc:a6:32:00:00:01") == "", "another board on the same wire"
    assert begins(stream.dhcp(1.0, 1, "OFFER"), MAC) == ""
    udhcpc = ((53, b"\1"), (60, b"udhcp 1.35.0"))
    assert begins(stream.dhcp(1.0, 1, "DISCOVER", options=udhcpc), MAC) == "", "a running system that renews"
    rrq = TransferStarted(T0, 1, "91cdf03d/start4.elf", "10.77.0.5", 2000, "10.77.0.1", 64, 0, (), "eeprom", MAC)
    assert begins(rrq, MAC) == "it asks for 91cdf03d/start4.elf"
    for name in ("bootloader.mode", "firmware.start_os", "kernel.start", "uboot.banner", "bootcode.link"):
        assert "its console says" in begins(milestone(name), MAC)
    for name in ("login.prompt", "systemd.start", "kernel.oops", "os.reboot", "net.link_ready"):
        assert begins(milestone(name), MAC) == ""
    assert begins(FirstFrame(T0, 1, MAC, 0x0800), MAC) == ""


def test_nothing_of_the_past_is_of_the_boot_and_nothing_of_it_is_lost() -> None:
    passed: list[Event] = []
    told: list[Began] = []
    beginning = Beginning(passed.append, MAC, told.append)
    old, first = FirstFrame(T0 - 5.0, 1, MAC, 0x0806), FirstFrame(T0 + 1.0, 2, MAC, 0x0800)
    for event in (old, milestone("login.prompt", -3.0), first):
        beginning(event)
    assert not beginning.begun
    discover, after = stream.dhcp(1.0, 2, "DISCOVER"), milestone("net.link", 2.0)
    beginning(discover)
    beginning(after)
    beginning(milestone("login.prompt", 0.5))  # of another thread, late: from before
    assert told == [Began(T0 + 1.0, "DHCP DISCOVER of its firmware")]
    assert passed == [told[0], first, discover, after]


def test_the_power_of_a_boot_of_others_is_not_ours() -> None:
    events = [event for event in stream.good_boot() if type(event).__name__ != "PowerEdge"]
    begun = Began(T0 + 1.0, "its console says 'x'")
    record = judge(stream.expectation(), [milestone("login.prompt", -9.0), begun, *events])
    power = record.stage("power")
    assert (record.verdict, power.verdict) == ("passed", "unseen")
    assert "not ours" in power.note
    assert record.started == T0 + 1.0
    assert all(seen.t >= T0 for seen in record.milestones)
    assert record.stage("link").start == T0 + 1.0


class Waits(Blind):
    """Calls back when the board waits for its boot."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then

    def progress(self, board: str, text: str) -> None:
        if text.startswith("waits for its next boot"):
            threading.Thread(target=self._then, daemon=True).start()


@pytest.mark.gear
def test_a_boot_on_the_console_is_followed_and_its_power_left_alone(run: Run, pty: Pty) -> None:
    power = MemoryPort()
    board = make_board(run, pty, power=power)

    def boot() -> None:
        pty.say("raspberrypi login: root\r\nlast words of the boot before\r\n")
        for text in BOOT_TEXT:
            pty.say(text)

    board.viewer = Waits(boot)
    made = board.watch(timeout=60)
    assert made.verdict == "passed", made.record.reason
    assert made.stages.power.verdict == "unseen"
    assert made.stages.userspace.verdict == "passed"
    assert b"root\n" not in (made.folder / "console.log").read_bytes().split(b"login: ")[-1], "nothing was typed"
    assert "its console says" in made.stages.power.note
    board.off()
    assert power.history == [], "neither during nor after it"
    assert replay(made.folder) == made.record
    rows = [json.loads(row) for row in (made.folder / "harness.jsonl").read_text().splitlines()]
    assert [row["event"] for row in rows] == ["Began", "Ended"]


@pytest.mark.gear
def test_a_stage_that_does_not_come_fails_as_in_any_boot(run: Run, pty: Pty) -> None:
    board = make_board(run, pty, budgets={**stream.BUDGETS, "initramfs": 0.3})
    board.viewer = Waits(lambda: [pty.say(text) for text in BOOT_TEXT[:4]] and None)
    assert board.watch(timeout=60).verdict == "failed(initramfs)"


@pytest.mark.gear
def test_no_boot_in_time_is_said_with_what_to_do(run: Run, pty: Pty) -> None:
    board = make_board(run, pty)
    board.viewer = Waits(lambda: pty.say("raspberrypi login: \r\n"))
    made = board.watch(timeout=0.3)
    assert made.verdict == "infra"
    assert isinstance(made.error, InfraError)
    assert "no boot of pi4-a began within 0.3 s" in made.error.what
    assert "piboot power BOARD cycle" in made.error.remedy


LAB = """
version: 1
name: bench
boards:
  b:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    power: {driver: command, on: ["false"], off: ["false"], read_back: {command: ["true"], on: {status: 0}, off: {status: 1}}}
"""


@pytest.mark.gear
def test_the_command(tmp_path: Path, pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    monkeypatch.setenv("PIBOOT_LOCKS", str(tmp_path / "locks"))
    lab = tmp_path / "lab.yaml"
    lab.write_text(LAB)
    done = piboot("watch", "b", "--lab", str(lab), check=False)
    assert (done.returncode, "neither `wire:` nor `console:`" in done.stderr) == (2, True)
    lab.write_text(f"{LAB}    console: {{driver: serial, port: {pty.path}}}\n")
    argv = [
        sys.executable,
        "-m",
        "harness.cli",
        "watch",
        "b",
        "--lab",
        str(lab),
        "--reports",
        str(tmp_path / "reports"),
    ]
    watch = subprocess.Popen([*argv, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:

        def heard() -> bool:
            pty.say("raspberrypi login: \r\n")  # opening a line flushes what stood in it
            return any(log.stat().st_size for log in (tmp_path / "reports").glob("*/b/console.log"))

        until(heard, 60)
        for text in BOOT_TEXT:
            pty.say(text)
        record = json.loads(watch.communicate(timeout=60)[0])
    finally:
        end(watch)
    assert (watch.returncode, record["verdict"]) == (0, "passed")
    (report,) = (tmp_path / "reports").glob("*/report.html")
    assert "not ours" in report.read_text()


def test_an_emulated_board_is_booted_by_nobody_else() -> None:
    from harness.commands.gear import watch_board  # noqa: PLC0415
    from harness.errors import ConfigError  # noqa: PLC0415

    lab = Path(__file__).parents[2] / "lab.yaml"
    with pytest.raises(ConfigError, match="nobody but a run of ours can start it"):
        watch_board("pi4-a", lab=lab, reports=Path(os.devnull), until="login", timeout=1.0, as_json=False)


@pytest.mark.netns
@pytest.mark.qemu
def test_a_boot_on_the_wire_is_followed(tmp_path: Path) -> None:
    """An emulated board that this test switches on by hand, with a real capture and a real server."""
    from harness.config import loads  # noqa: PLC0415
    from harness.lab import Lab  # noqa: PLC0415
    from tests.lab.test_boot_over_ssh import LAB as EMULATED  # noqa: PLC0415

    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces with a tap")
    made: list[Boot] = []
    run = Run.create(tmp_path / "reports", lab="next")
    with small_boot_files(tmp_path / "boot"), Lab(loads(EMULATED), run) as lab:
        board = lab.board("pi4-a")
        hand = tmp_path / "hand"
        hand.mkdir()
        board.gear.claim()
        board.gear.prepare("firmware")
        board.viewer = Waits(lambda: board.gear.power(hand).on())
        made.append(board.watch("firmware", timeout=120))
        assert board.gear.power(hand).state() == "on", "it runs on"
    (boot,) = made
    assert boot.verdict == "passed", (boot.record.reason, boot.error)
    assert boot.stages.dhcp.verdict == boot.stages.firmware.verdict == "passed"
    assert "not ours" in boot.stages.power.note
    assert replay(boot.folder) == boot.record
