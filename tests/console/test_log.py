# SPDX-License-Identifier: GPL-2.0-or-later
"""The always-on reader: files, milestones, gaps, faults; and the replay of its files."""

import os
import pty
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import clock
from harness.boot.events import ConsoleGap, Milestone
from harness.console.log import ConsoleLog
from harness.console.port import BytePort
from harness.console.replay import milestones_of
from harness.errors import ConfigError, HarnessBug, HarnessError, InfraError

from . import transcripts
from .doubles import ScriptPort, binary, flood, half_lines, one_octet_per_read

pytestmark = pytest.mark.gear

WHOLE = transcripts.PI4_2021 + transcripts.KERNEL_TO_LOGIN


class Watch:
    """A console with all that it told."""

    def __init__(self, port: str | Callable[[], BytePort], folder: Path, reconnect_for: float = 30.0) -> None:
        self.told: list[Milestone | ConsoleGap] = []
        self.errors: list[HarnessError] = []
        self.log = ConsoleLog(
            port,
            folder,
            on_event=self.told.append,
            on_error=self._failed,
            reconnect_for=reconnect_for,
            gather=0.0,
        )

    def _failed(self, error: HarnessError) -> None:
        with self.log._changed:
            self.errors.append(error)
            self.log._changed.notify_all()

    def names(self) -> list[str]:
        return [event.name if isinstance(event, Milestone) else "gap" for event in self.told]

    def saw(self, name: str) -> bool:
        return self.log.wait(lambda: name in self.names(), 60.0)


def _replayed(watch: Watch) -> bool:
    told, info = milestones_of(watch.log.folder / "console.log")
    assert told == watch.told
    assert info == watch.log.info()
    return True


@pytest.mark.parametrize(
    "port", [one_octet_per_read, half_lines, lambda data: ScriptPort([data])], ids=["octets", "halves", "whole"]
)
def test_every_octet_is_kept_and_every_milestone_told_however_they_come(
    port: Callable[[bytes], BytePort], tmp_path: Path
) -> None:
    watch = Watch(lambda: port(WHOLE), tmp_path)
    with watch.log:
        assert watch.saw("login.prompt")
        assert watch.log.tail(100).endswith("rpi login:")
    assert (tmp_path / "console.log").read_bytes() == WHOLE
    assert watch.names()[-len(transcripts.KERNEL_TO_LOGIN_NAMES) :] == transcripts.KERNEL_TO_LOGIN_NAMES
    assert watch.log.info().bytes == len(WHOLE)
    assert _replayed(watch)
    assert watch.errors == []


def test_a_pty_is_read_from_before_the_first_octet_with_times_of_the_same_clock(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    watch = Watch(os.ttyname(slave), tmp_path)
    with watch.log:
        before = clock.now()
        os.write(master, b"RPi: BOOTLOADER release VERSION:c258ef8f DATE: Jul  6 2021\r\n")
        assert watch.saw("bootloader.banner")
        after = clock.now()
        assert before <= watch.told[0].t <= after
        watch.log.write(b"x")
        assert os.read(master, 10) == b"x"
    os.close(master)
    os.close(slave)
    assert _replayed(watch)


def test_a_secret_of_the_kernels_command_line_is_neither_kept_nor_told(tmp_path: Path) -> None:
    said = (
        b"[    0.000000] Kernel command line: iscsi_username=pi iscsi_password=verysecret1 root=/dev/sda\r\npi login: "
    )
    watch = Watch(lambda: one_octet_per_read(said), tmp_path)
    with watch.log:
        assert watch.saw("login.prompt")
        tail = watch.log.tail(200)
    for kept in ((tmp_path / "console.log").read_text(), tail, repr(watch.told)):
        assert "root=/dev/sda" in kept
        assert "verysecret1" not in kept
    assert _replayed(watch)


def test_what_had_come_before_close_is_kept(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    watch = Watch(os.ttyname(slave), tmp_path)
    with watch.log:
        os.write(master, b"[   27.388058] reboot: Power down\r\nhalf a l")
    os.close(master)
    os.close(slave)
    assert (tmp_path / "console.log").read_bytes().endswith(b"half a l")
    assert watch.names() == ["os.poweroff"]
    assert _replayed(watch)


def test_a_line_that_vanishes_and_returns_is_two_gaps_and_a_parted_line(tmp_path: Path) -> None:
    ports = [
        ScriptPort([transcripts.PI4_2021, b"[    0.000000] Booting Linux on phys"], gone="device disconnected\x1b[31m"),
        ScriptPort([b"ical CPU 0x0\r\n[    1.000000] Run /init as init process\r\n"]),
    ]
    watch = Watch(lambda: ports.pop(0), tmp_path)
    with watch.log:
        assert watch.saw("kernel.init")
    gap, back = [event for event in watch.told if isinstance(event, ConsoleGap)]
    assert (gap.back, gap.reason, gap.offset) == (False, "device disconnected", len(transcripts.PI4_2021) + 36)
    assert back.back
    assert "kernel.start" not in watch.names(), "two halves of different reads must not be glued over a gap"
    (away,) = watch.log.info().gaps
    assert (away.start, away.end, away.why, away.line) == (gap.t, back.t, "device disconnected", gap.line)
    assert away.back.startswith("reopened after")
    assert watch.errors == []
    assert _replayed(watch)


def test_a_pty_that_closes_mid_boot_is_an_infra_error_once_and_the_console_is_not_silent(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    watch = Watch(os.ttyname(slave), tmp_path, reconnect_for=0.0)
    with watch.log:
        os.write(master, transcripts.PI4_2021)
        assert watch.saw("firmware.start_elf")
        os.close(master)
        os.close(slave)
        assert watch.log.wait(lambda: bool(watch.log.info().gaps), 20.0)
        with pytest.raises(InfraError, match="console is lost"):
            watch.log.write(b"\n")
        assert watch.log.wait(lambda: bool(watch.errors), 20.0)
    (error,) = watch.errors
    assert isinstance(error, InfraError)
    assert "a pty that has gone does not come back" in error.what
    assert watch.names()[-1] == "gap"
    assert _replayed(watch)


def test_a_ptys_number_is_not_opened_again(tmp_path: Path) -> None:
    """By then it is another program's terminal: a console that opened it would lock it, and take what it says."""
    opened: list[ScriptPort] = []

    def opener() -> ScriptPort:
        opened.append(ScriptPort([transcripts.PI4_2021], gone="hung up", name="/dev/pts/7"))
        return opened[-1]

    watch = Watch(opener, tmp_path)
    with watch.log:
        assert watch.log.wait(lambda: bool(watch.errors), 20.0), "said at once: waiting would not bring it back"
        assert watch.log._link.retry(threading.Event()) == ("", None), "and once"
    assert len(opened) == 1


def test_a_line_that_drops_as_soon_as_it_is_opened_did_not_return(tmp_path: Path) -> None:
    """What ser2net does when somebody else has its port: it takes the connection, says so and hangs up."""
    watch = Watch(
        lambda: ScriptPort([b"Port already in use\r\n"], gone="the other side hung up"), tmp_path, reconnect_for=0.2
    )
    with watch.log:
        assert watch.log.wait(lambda: bool(watch.errors), 20.0)
    (error,) = watch.errors
    assert isinstance(error, InfraError)
    assert "drops as soon as it is opened" in error.what
    assert "another client" in error.remedy
    assert 1 <= len(watch.log.info().gaps) <= 10, "the attempts come less and less often"
    assert "Port already in use" in watch.log.tail()


def test_a_flood_of_10_mb_is_kept_whole_and_what_follows_is_seen(tmp_path: Path) -> None:
    port = flood(10_000_000)
    port.say(transcripts.KERNEL_TO_LOGIN)
    watch = Watch(lambda: port, tmp_path)
    with watch.log:
        assert watch.saw("login.prompt")
        assert len(watch.log.tail(1_000_000)) <= 2 * 64 * 1024 + 65536
    assert (tmp_path / "console.log").stat().st_size == watch.log.info().bytes > 9_900_000
    assert watch.errors == []


def test_binary_is_kept_and_harms_nothing(tmp_path: Path) -> None:
    port = binary()
    port.say(b"\r\n" + transcripts.KERNEL_TO_LOGIN)
    watch = Watch(lambda: port, tmp_path)
    with watch.log:
        assert watch.saw("login.prompt")
        assert watch.log.tail().replace("\n", "").isprintable()
    assert _replayed(watch)
    assert watch.errors == []


def test_a_full_disk_is_told_once_and_milestones_go_on(tmp_path: Path) -> None:
    (tmp_path / "console.log").symlink_to("/dev/full")
    watch = Watch(lambda: half_lines(WHOLE), tmp_path)
    with watch.log:
        assert watch.saw("login.prompt")
    (error,) = watch.errors
    assert isinstance(error, InfraError)
    assert "No space left on device" in error.what
    assert "make room" in error.remedy


def test_files_are_readable_after_a_kill_at_any_octet(tmp_path: Path) -> None:
    watch = Watch(lambda: half_lines(WHOLE), tmp_path)
    with watch.log:
        assert watch.saw("login.prompt")
    times = (tmp_path / "console.times").read_bytes()
    for cut in range(0, len(times), 97):
        (tmp_path / "console.times").write_bytes(times[:cut])
        told, info = milestones_of(tmp_path / "console.log")
        assert info.bytes == len(WHOLE)
        assert len(told) == len(watch.told)


def test_senseless_times_do_not_raise(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(WHOLE)
    (tmp_path / "console.times").write_text(
        '[5, 1.0]\n[2, 3.0]\n{}\n[1]\n["a", "b"]\n[99999999, 2.0]\n[1, 2, "gap"]\n[5, 2, "baud", "fast"]\nnull\n\x00'
    )
    told, info = milestones_of(log)
    assert info.bytes == len(WHOLE)
    assert told[-1].t == 1.0
    assert info.rates == ()


def test_a_bare_log_takes_its_times_from_its_own_stamps(tmp_path: Path) -> None:
    log = tmp_path / "putty.log"
    log.write_bytes(transcripts.PI5 + transcripts.KERNEL_TO_LOGIN)
    told, info = milestones_of(log)
    times = {event.name: event.t for event in told if isinstance(event, Milestone)}
    assert times["firmware.start_os"] == 20.794805
    assert times["kernel.init"] == pytest.approx(20.794805 + 1.912345)
    assert info.file == "putty.log"
    with pytest.raises(ConfigError, match="cannot be read"):
        milestones_of(tmp_path / "none.log")


def test_a_listener_that_raises_does_not_silence_the_console(tmp_path: Path) -> None:
    errors: list[HarnessError] = []

    def bad(_event: object) -> None:
        raise RuntimeError("oops")

    lines = []
    log = ConsoleLog(
        lambda: half_lines(WHOLE), tmp_path, on_event=bad, on_line=lines.append, on_error=errors.append, gather=0.0
    )
    with log:
        assert log.wait(lambda: bool(lines) and lines[-1].text.startswith("rpi login:"), 20.0)
    assert (tmp_path / "console.log").read_bytes() == WHOLE
    assert {type(error) for error in errors} == {HarnessBug}
    assert len(errors) == 1, "said once, not for every line"


def test_a_folder_that_cannot_be_written_or_a_port_that_is_not_there_fails_at_start(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="cannot be written"):
        ConsoleLog(ScriptPort, tmp_path / "none").start()
    with pytest.raises(InfraError, match="cannot be opened"):
        ConsoleLog(str(tmp_path / "tty"), tmp_path).start()


def test_a_tap_starts_with_the_unfinished_line(tmp_path: Path) -> None:
    port = ScriptPort([b"text\r\nrpi login: "])
    watch = Watch(lambda: port, tmp_path)
    with watch.log:
        assert watch.saw("login.prompt")
        tap = watch.log.tap()
        assert tap.get(0) == b"rpi login: "
        assert tap.get(0) == b""
        port.say(b"more")
        assert tap.get(20.0) == b"more"
    assert tap.get(20.0) is None


def test_no_thread_is_left(tmp_path: Path) -> None:
    before = threading.active_count()
    with ConsoleLog(ScriptPort, tmp_path):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
