# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot console` with a person's terminal (a pty) on one side and a board's line (another) on the other."""

import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.doubles import BOOT_TEXT, Pty
from tests.lab.test_watch_next import LAB
from tests.sharing.labs import ROOT, piboot
from tests.wire.test_capture import until

pytestmark = pytest.mark.gear


class Person:
    """A terminal with `piboot console` on it."""

    def __init__(self, *arguments: str) -> None:
        self.terminal, self.keys = os.openpty()
        self.before = self.modes
        argv = [sys.executable, "-m", "harness.cli", "console", *arguments]
        self.process = subprocess.Popen(
            argv, stdin=self.keys, stdout=self.keys, stderr=self.keys, cwd=ROOT, start_new_session=True
        )
        self.seen = b""

    @property
    def modes(self) -> list[Any]:
        return termios.tcgetattr(self.keys)

    def sees(self, wanted: bytes) -> bytes:
        end = time.monotonic() + 60
        while wanted not in self.seen:
            assert select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))[0], self.seen
            self.seen += os.read(self.terminal, 4096)
        return self.seen

    def types(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def is_raw(self) -> bool:
        return not self.modes[3] & (termios.ICANON | termios.ISIG | termios.ECHO)

    def end(self) -> int:
        return self.process.wait(60)


@contextmanager
def person(*arguments: str) -> Iterator[Person]:
    one = Person(*arguments)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()
        os.close(one.terminal)
        os.close(one.keys)


@pytest.fixture
def lab(tmp_path: Path, pty: Pty, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIBOOT_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    (tmp_path / "runtime").mkdir(mode=0o700)
    path = tmp_path / "lab.yaml"
    path.write_text(f"{LAB}    console: {{driver: serial, port: {pty.path}}}\n")
    return path


def arguments(lab: Path) -> list[str]:
    return ["b", "--lab", str(lab), "--reports", str(lab.parent / "reports")]


def test_keys_go_there_as_they_are_and_the_output_comes_sieved(lab: Path, pty: Pty) -> None:
    with person(*arguments(lab)) as me:
        me.sees(b"Ctrl-] leaves")
        until(me.is_raw)
        pty.say(b"\x1b]52;c;ZXZpbA==\a\x1b[31mlogin: \x05\x1b[0m")
        me.sees(b"login: ")
        me.types(b"root\r\x03\x1a")  # Ctrl-C and Ctrl-Z are the board's
        pty.hear(b"root\r\x03\x1a")
        pty.say("bye\r\n")
        me.sees(b"bye")
        me.types(b"more\x1dnot this")
        pty.hear(b"more")
        assert me.end() == 0
        assert me.modes == me.before
    assert b"\x1b[31mlogin: \x1b[0m" in me.seen
    assert b"]52" not in me.seen
    assert b"\x05" not in me.seen
    (folder,) = (lab.parent / "reports" / "console").iterdir()
    assert folder.name.startswith("b-")
    assert b"\x1b]52;c;ZXZpbA==\a" in (folder / "console.log").read_bytes(), "the log keeps every octet"
    assert (folder / "console.times").stat().st_size > 0
    assert list((lab.parent / "runtime" / "piboot").glob("console-*.sock")) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_brought_back_however_it_ends(lab: Path, pty: Pty, number: signal.Signals) -> None:
    with person(*arguments(lab)) as me:
        me.sees(b"leaves")
        until(me.is_raw)
        pty.say(b"\x1b[?1049h\x1b[?25l full screen")
        me.sees(b"full screen")
        os.kill(me.process.pid, number)
        me.sees(b"\x1b[?1049l")
        me.end()
        assert me.modes == me.before


def test_an_interrupt_that_is_not_typed_ends_it(lab: Path, pty: Pty) -> None:
    with person(*arguments(lab)) as me:
        me.sees(b"leaves")
        until(me.is_raw)
        os.kill(me.process.pid, signal.SIGINT)
        assert me.end() == 130
        assert me.modes == me.before


def test_a_second_one_attaches_to_the_first(lab: Path, pty: Pty) -> None:
    with person(*arguments(lab)) as first:
        first.sees(b"leaves")
        until(first.is_raw)
        with person(*arguments(lab)) as second:
            second.sees(b"attached to the console that another process reads")
            until(second.is_raw)
            pty.say("hello both\r\n")
            first.sees(b"hello both")
            second.sees(b"hello both")
            second.types(b"typed by the second\r")
            pty.hear(b"typed by the second\r")
            first.types(b"\x1d")
            assert first.end() == 0
            second.sees(b"the console was closed")
            assert second.end() == 3
            assert second.modes == second.before


def test_beside_a_watch(lab: Path, pty: Pty) -> None:
    """The natural pair: one terminal watches the next boot, another types. The record says that somebody did."""
    reports = lab.parent / "reports"
    argv = [sys.executable, "-m", "harness.cli", "watch", *arguments(lab)]
    watch = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        until(lambda: bool(list(reports.glob("*/b/console.sock"))), 60)
        with person(*arguments(lab)) as me:
            me.sees(b"attached")
            until(me.is_raw)
            me.types(b"\r")
            pty.hear(b"\r")
            until(lambda: any("typed on the console" in path.read_text() for path in reports.glob("*/b/harness.jsonl")))
            me.types(b"\x1d")
            assert me.end() == 0
        assert watch.poll() is None
    finally:
        watch.send_signal(signal.SIGINT)
        watch.wait(60)


def test_a_watch_beside_a_person(lab: Path, pty: Pty) -> None:
    """The other way round: the line is the person's, and the watch reads it through that process."""
    reports = lab.parent / "reports"
    with person(*arguments(lab)) as me:
        me.sees(b"leaves")
        until(me.is_raw)
        argv = [sys.executable, "-m", "harness.cli", "watch", *arguments(lab), "--json"]
        watch = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True)
        try:

            def heard() -> bool:
                pty.say("raspberrypi login: \r\n")
                return any(log.stat().st_size for log in reports.glob("*/b/console.log"))

            until(heard, 60)
            for text in BOOT_TEXT:
                pty.say(text)
            record = json.loads(watch.communicate(timeout=60)[0])
        finally:
            watch.kill()
            watch.communicate()
        assert record["verdict"] == "passed"
        me.sees(b"Booting Linux")
        me.types(b"\x1d")
        assert me.end() == 0


def test_what_a_killed_one_left_is_no_console(lab: Path, pty: Pty) -> None:
    with person(*arguments(lab)) as me:
        me.sees(b"leaves")
        me.process.kill()
        me.process.wait()
    with person(*arguments(lab)) as again:
        again.sees(b"Ctrl-] leaves")
        assert b"attached" not in again.seen
        until(again.is_raw)
        pty.say("hello\r\n")
        again.sees(b"hello")
        again.types(b"\x1d")
        assert again.end() == 0


def test_without_a_terminal_it_shows_what_comes(lab: Path, pty: Pty) -> None:
    argv = [sys.executable, "-m", "harness.cli", "console", *arguments(lab)]
    shown = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    )
    try:
        assert shown.stderr is not None
        assert "leaves" in shown.stderr.readline()
        assert shown.stdout is not None
        pty.say("\x1b]0;x\aone line\r\n")
        assert shown.stdout.readline().strip() == "one line"
    finally:
        shown.terminate()
        shown.communicate(timeout=60)


def test_mistakes(lab: Path) -> None:
    done = piboot("console", "nobody", "--lab", str(lab), check=False)
    assert (done.returncode, "choose of: b" in done.stderr) == (2, True)
    done = piboot("console", "pi4-a", check=False)
    assert done.returncode == 2
    assert "piboot console pi4-a --power" in done.stderr


def test_a_line_of_somebody_elses(lab: Path, pty: Pty) -> None:
    import fcntl  # noqa: PLC0415

    with Path(pty.path).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = piboot("console", *arguments(lab), check=False)
    assert done.returncode == 3
    assert "the console is in use" in done.stderr


def test_with_power_the_board_is_cycled_first(lab: Path, pty: Pty, tmp_path: Path) -> None:
    state = tmp_path / "power"
    state.write_text("on\n")
    text = lab.read_text()
    at = text.index("power: {")
    power = (
        f"power: {{driver: command, on: [sh, -c, 'echo on >> {state}'], off: [sh, -c, 'echo off >> {state}'],\n"
        f"      read_back: {{command: [tail, -n, '1', {state}], on: {{output: '^on$'}}, off: {{output: '^off$'}}}}}}\n"
    )
    lab.write_text(text[:at] + power + text[text.index("    console:") :])
    with person(*arguments(lab), "--power") as me:
        me.sees(b"was switched off and on")
        until(me.is_raw)
        me.types(b"\x1d")
        assert me.end() == 0
    assert state.read_text().split() == ["on", "off", "on"], "and it is left on"


@pytest.mark.netns
@pytest.mark.qemu
def test_an_emulated_board_is_started_for_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.lab.test_boot_over_ssh import LAB as EMULATED  # noqa: PLC0415

    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces with a tap")
    monkeypatch.setenv("PIBOOT_LOCKS", str(tmp_path / "locks"))
    lab = tmp_path / "lab.yaml"
    lab.write_text(EMULATED)
    with person("pi4-a", "--power", "--lab", str(lab), "--reports", str(tmp_path / "reports")) as me:
        me.sees(b"leaves and ends it")
        until(me.is_raw, 60)
        end = time.monotonic() + 300
        while b"login: " not in me.seen and time.monotonic() < end:
            if select.select([me.terminal], [], [], 1.0)[0]:
                me.seen += os.read(me.terminal, 4096)
        me.types(b"root\r")
        me.sees(b"# ")
        with person("pi4-a", "--lab", str(lab), "--reports", str(tmp_path / "reports")) as other:
            other.sees(b"attached to the console that another process reads")
            until(other.is_raw, 60)
            other.types(b"echo $((6*7))\r")
            other.sees(b"42\r")
            other.types(b"\x1d")
            assert other.end() == 0
        me.types(b"\x1d")
        end = time.monotonic() + 60
        while me.process.poll() is None and time.monotonic() < end:
            if select.select([me.terminal], [], [], 0.1)[0]:
                os.read(me.terminal, 4096)
        assert me.end() == 0
        assert me.modes == me.before


def test_a_sysrq_key_over_a_line_that_has_no_breaks_is_told_and_typed_nowhere(lab: Path, pty: Pty) -> None:
    """The line is a pty: the key must not reach whoever reads there."""
    with person(*arguments(lab), "--sysrq", "b") as me:
        me.sees(b"no break can be sent over")
        until(me.is_raw)
        me.types(b"x")
        assert pty.hear(b"x") == b"x"
        me.types(b"\x1d")
        assert me.end() == 0
    done = piboot("console", *arguments(lab), "--sysrq", "bb", check=False)
    assert done.returncode == 2
    assert "one character" in done.stderr
