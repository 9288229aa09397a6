# SPDX-License-Identifier: GPL-2.0-or-later
"""From prompt to shell, and what a shell prints, whatever the kernel prints in between."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.boot.events import Milestone
from harness.console import dialogue
from harness.console import shell as shell_module
from harness.console.dialogue import Dialogue
from harness.console.log import ConsoleLog
from harness.console.login import login
from harness.console.port import BytePort
from harness.console.probe import KEYS, probe
from harness.console.replay import milestones_of
from harness.console.sending import Pace
from harness.console.shell import Shell
from harness.console.tap import unfinished
from harness.errors import BootFailure, InfraError

from .doubles import Board, ScriptPort, ShellPort

pytestmark = pytest.mark.gear


@contextmanager
def _console(port: BytePort, folder: Path) -> Iterator[ConsoleLog]:
    with ConsoleLog(lambda: port, folder, gather=0.0) as console:
        yield console


# -- the login ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "banner", [b"\r\nDebian GNU/Linux 12 rpi ttyAMA0\r\n\r\n", b"Welcome to Buildroot\r\n", b"\x1b[H\x1b[J"]
)
def test_a_user_without_a_password(tmp_path: Path, banner: bytes) -> None:
    board = Board({"root": ""}, banner=banner)
    with _console(board, tmp_path) as console:
        login(console, "root", timeout=20)
    assert board.lines[0] == "root"


def test_a_password_is_sent_to_the_password_prompt_only(tmp_path: Path) -> None:
    board = Board({"pi": "raspberry"}, prompt=b"pi@rpi:~$ ")
    with _console(board, tmp_path) as console:
        login(console, "pi", "raspberry", timeout=20)
    assert board.lines[:2] == ["pi", "raspberry"]
    assert b"raspberry" not in (tmp_path / "console.log").read_bytes()


@pytest.mark.parametrize("pace", [Pace(char_delay=0.0001, chunk=16), None], ids=["slowly", "at once"])
def test_a_board_with_a_small_buffer_wants_slow_typing(tmp_path: Path, pace: Pace | None) -> None:
    class Uart(Board):
        """16 octets fit; what comes with them is lost."""

        def write(self, data: bytes) -> None:
            super().write(data[:16])

    board = Uart(open_shell=True)
    with ConsoleLog(lambda: board, tmp_path, gather=0.0, pace=pace) as console, Dialogue(console) as talk:
        if pace is not None:
            Shell.open(talk, timeout=30)
            return
        with pytest.raises(BootFailure, match="did not answer"):
            Shell.open(talk, timeout=0.2)


def test_a_silent_prompt_is_woken(tmp_path: Path) -> None:
    board = Board(silent=True)
    with _console(board, tmp_path) as console:
        login(console, "root", timeout=20, nudge=0.01)
    assert board.lines[0] == ""


def test_an_open_shell_is_taken_as_it_is(tmp_path: Path) -> None:
    board = Board(open_shell=True)
    with _console(board, tmp_path) as console:
        login(console, "root", timeout=20)
    assert "PB-READY-" in board.lines[0]


def test_a_prompt_that_a_kernel_record_follows_is_seen(tmp_path: Path) -> None:
    board = Board(open_shell=True)
    board.say(b"[   40.000000] random: crng init done\r\n[   41.000000] usb 1-1: new device\r\n")
    with _console(board, tmp_path) as console:
        assert console.wait(lambda: "new device" in console.tail(), 20.0)
        login(console, "root", timeout=30, nudge=60.0)
    assert "PB-READY-" in board.lines[0]


@pytest.mark.parametrize(
    ("tail", "stands"),
    [
        (b"text\r\nrpi login: ", b"rpi login: "),
        (
            b"rpi login: [   40.000000] x\r\n[   41.000000] y\r\n",
            b"rpi login: [   40.000000] x\r\n[   41.000000] y\r\n",
        ),
        (b"rpi login: root\r\n[   41.000000] y\r\n", b""),
        (b"[   41.000000] y\r\n", b""),
        (b"", b""),
        (b"\n", b""),
    ],
)
def test_what_stands_unfinished(tail: bytes, stands: bytes) -> None:
    assert unfinished(tail) == stands


def test_a_refused_login_is_tried_again_once_and_told_without_the_password(tmp_path: Path) -> None:
    board = Board({"pi": "other"})
    with _console(board, tmp_path) as console, pytest.raises(BootFailure) as caught:
        login(console, "pi", "hunter2", timeout=20)
    assert caught.value.stage == "login"
    assert "the login of 'pi' was refused" in caught.value.what
    assert "hunter2" not in str(caught.value)
    assert board.lines == ["pi", "hunter2", "pi", "hunter2"]


def test_a_password_that_the_board_echoes_is_not_told(tmp_path: Path) -> None:
    port = ScriptPort([b"rpi login: ", b"hunter2 ", b"Password: "])
    with _console(port, tmp_path) as console, pytest.raises(BootFailure) as caught:
        login(console, "pi", "hunter2", timeout=0.3)
    assert "***" in caught.value.what
    assert "hunter2" not in str(caught.value)


def test_a_password_that_is_not_given(tmp_path: Path) -> None:
    with _console(Board({"pi": "x"}), tmp_path) as console, pytest.raises(BootFailure, match="asks for a password"):
        login(console, "pi", timeout=20)


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        (b"ALERT!  /dev/nfs does not exist.  Dropping to a shell!\r\n\r\n(initramfs) ", "initramfs"),
        (b"You are in emergency mode. After logging in, type\r\nPress Enter for maintenance", "userspace"),
        (b"\r\nU-Boot> ", "firmware"),
    ],
)
def test_another_prompt_names_its_stage(tmp_path: Path, text: bytes, stage: str) -> None:
    port = ScriptPort()
    with _console(port, tmp_path) as console:
        port.say(text)
        with pytest.raises(BootFailure) as caught:
            login(console, "root", timeout=20)
    assert caught.value.stage == stage
    assert caught.value.place.endswith("console.log")


def test_no_prompt_ends_in_time_and_says_what_was_seen(tmp_path: Path) -> None:
    port = ScriptPort([b"Last login: never\r\npam_unix(login:session): x\r\n"])
    with _console(port, tmp_path) as console, pytest.raises(BootFailure) as caught:
        login(console, "root", timeout=0.2, nudge=0.05)
    assert "a login prompt was awaited" in caught.value.what
    assert "pam_unix" in caught.value.what


def test_a_line_that_is_away_when_the_time_is_over_is_no_fault_of_the_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = [ScriptPort([b"Starting ...\r\n"], gone="unplugged")]

    def opener() -> BytePort:
        if not ports:
            raise InfraError("there is no such port")
        return ports.pop()

    monkeypatch.setattr(dialogue, "PATIENCE", 0.2)
    with ConsoleLog(opener, tmp_path, gather=0.0) as console:
        assert console.wait(lambda: console.away, 20.0)
        with pytest.raises(InfraError, match="the console is lost"):
            login(console, "root", timeout=0.2, nudge=60.0)


# -- the shell, real ones ----------------------------------------------------------------------------------------------

SHELLS = [
    pytest.param(
        argv, id=argv[0], marks=pytest.mark.skipif(shutil.which(argv[0]) is None, reason=f"{argv[0]} is not installed")
    )
    for argv in (["bash", "--norc", "-i"], ["dash", "-i"], ["busybox", "ash"])
]
RECORD = b"[  999.123456] usb 1-1: new device\r\n"


@pytest.fixture(params=SHELLS)
def argv(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


@contextmanager
def _shell(argv: list[str], folder: Path, noise: bytes = b"", every: int = 7) -> Iterator[tuple[ConsoleLog, Shell]]:
    port = ShellPort(argv, noise=noise, every=every)
    with _console(port, folder) as console:
        yield console, login(console, "root", timeout=30)


@pytest.mark.gear
@pytest.mark.parametrize("every", [0, 40])
def test_output_and_status(argv: list[str], tmp_path: Path, every: int) -> None:
    """Also with a kernel record after each 40 octets, which is in the middle of markers now and then."""
    future = b"[99999999.123456] usb 1-1: new device\r\n"  # later than any uptime: it came while the command ran
    with _shell(argv, tmp_path, future if every else b"", every or 1) as (_, shell):
        assert shell.run("echo a; echo b; false") == ("a\nb", 1)
        assert shell.run("cd /tmp && pwd") == ("/tmp", 0)
        assert shell.run("pwd; (exit 7)") == ("/tmp", 7)
        assert shell.run("""echo "it's" '"quoted"' \\$HOME""") == ('it\'s "quoted" $HOME', 0)
        assert shell.run("cat").output == "", "standard input is empty"
        assert shell.run("seq 1 300").output.splitlines() == [str(n) for n in range(1, 301)]


@pytest.mark.gear
def test_a_syntax_error_is_a_status_not_a_hang(argv: list[str], tmp_path: Path) -> None:
    with _shell(argv, tmp_path) as (_, shell):
        output, status = shell.run("if")
        assert "syntax" in output.lower()
        assert status == 2
        assert shell.run("echo on").output == "on"


def test_old_kernel_records_are_output_new_ones_are_not(tmp_path: Path) -> None:
    with _shell(["bash", "--norc", "-i"], tmp_path) as (_, shell):
        assert shell.run("printf '[    0.000000] Booting Linux\\n'").output == "[    0.000000] Booting Linux"
        assert shell.run("printf 'x[99999999.000000] new\\ny\\n'").output == "xy"
        assert "new" in shell.run("printf '[99999999.000000] new\\n'", keep_kernel=True).output


def test_a_command_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here one that no Ctrl-C reaches; tests/console/test_shell_transports.py has one that ends."""
    monkeypatch.setattr(shell_module, "_AFTER_INTERRUPT", 0.3)
    with _shell(["bash", "--norc", "-i"], tmp_path) as (_, shell):
        with pytest.raises(BootFailure, match=r"sleep 60.* did not end within 1 s and does not take Ctrl-C"):
            shell.run("(trap '' INT; exec sleep 60)", timeout=1.0)
        with pytest.raises(ValueError, match="does not fit"):
            shell.run("x" * 5000)


def test_a_shell_that_does_not_answer(tmp_path: Path) -> None:
    port = ScriptPort([b"root@rpi:~# "])
    with (
        _console(port, tmp_path) as console,
        Dialogue(console) as talk,
        pytest.raises(BootFailure, match="did not answer within"),
    ):
        Shell.open(talk, timeout=0.1)


def test_a_console_that_closes_ends_the_wait(tmp_path: Path) -> None:
    with _console(ScriptPort(), tmp_path) as console:
        closed = Dialogue(console)
        console.close()
        with pytest.raises(InfraError, match="nothing can be sent"):
            Shell.open(closed, timeout=30)


# -- the probe ---------------------------------------------------------------------------------------------------------


@pytest.mark.gear
@pytest.mark.parametrize("every", [0, 1511])
def test_probe_tells_the_same_live_and_replayed(argv: list[str], tmp_path: Path, every: int) -> None:
    with _shell(argv, tmp_path, RECORD if every else b"", every or 1) as (console, shell):
        facts = probe(console, shell, settle=1, tries=8)
    assert set(facts) == set(KEYS)
    assert facts["kernel_release"] == Path("/proc/sys/kernel/osrelease").read_text().strip()
    assert facts["cmdline"] == Path("/proc/cmdline").read_text().strip()
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    assert (facts["root_source"], facts["root_fstype"]) == [(m[0], m[2]) for m in mounts if m[1] == "/"][-1]
    told, _ = milestones_of(tmp_path / "console.log")
    replayed = {
        e.fields["key"]: e.fields["value"] for e in told if isinstance(e, Milestone) and e.name == "probe.value"
    }
    assert replayed == facts


@pytest.mark.gear
def test_probe_on_a_root_without_systemd_has_empty_states(tmp_path: Path) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("this machine runs systemd")
    with _shell(["dash", "-i"], tmp_path) as (console, shell):
        facts = probe(console, shell)
    assert (facts["state"], facts["failed_units"]) == ("", "")
