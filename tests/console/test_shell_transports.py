# SPDX-License-Identifier: GPL-2.0-or-later
"""A real shell with a terminal of its own, over every kind of line: output, status, length, noise, and no end."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.console.log import ConsoleLog
from harness.console.login import login
from harness.console.port import open_port
from harness.console.sending import Pace
from harness.console.shell import Shell
from harness.errors import BootFailure, InfraError

from .serial_server import Ser2net, needs_ser2net

pytestmark = [
    pytest.mark.gear,
    pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed"),
]

#: Prompts of shells as people have them: colours, a title for the window, no line end before it.
PS1 = r"\[\e]0;\u@\h: \w\a\]\[\e[01;32m\]\u@\h\[\e[00m\]:\[\e[01;34m\]\w\[\e[00m\]\$ "


class Board:
    """bash behind a raw serial line: `device`."""

    def __init__(self, folder: Path) -> None:
        self.device = folder / "ttyUSB0"
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "PS1": PS1, "TERM": "xterm"}
        self.process = subprocess.Popen(
            ["socat", f"pty,rawer,link={self.device}", "exec:bash --norc --noprofile -i,pty,setsid,ctty,stderr"],
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        deadline = time.monotonic() + 30.0
        while not self.device.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture(
    params=["device", *(pytest.param(scheme, marks=needs_ser2net) for scheme in ("rfc2217", "telnet", "socket"))]
)
def console(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ConsoleLog]:
    with ExitStack() as stack:
        board = Board(tmp_path)
        stack.callback(board.close)
        url = str(board.device)
        if request.param != "device":
            url = stack.enter_context(Ser2net(tmp_path, url, request.param)).url
        pace = Pace(char_delay=0.00001, chunk=64) if request.param == "telnet" else None
        yield stack.enter_context(ConsoleLog(lambda: open_port(url), tmp_path, pace=pace))


@pytest.fixture
def shell(console: ConsoleLog) -> Shell:
    return login(console, "root", timeout=60)


def test_output_and_status_with_a_kernel_in_between(shell: Shell) -> None:
    assert shell.run("echo a; echo b >&2; false") == ("a\nb", 1)
    noise = "(while sleep 0.03; do printf '[99999999.123456] usb 1-1: new device\\r\\n'; done) & pb_noise=$!"
    assert shell.run(noise).status == 0
    for _ in range(5):
        assert shell.run("seq 1 500; (exit 3)") == ("\n".join(map(str, range(1, 501))), 3)
    assert shell.run("kill $pb_noise").status == 0
    assert shell.run('printf %s "it\'s"') == ("it's", 0)


def test_long_output_and_binary(shell: Shell) -> None:
    assert shell.run("seq 1 40000", timeout=120) == ("\n".join(map(str, range(1, 40001))), 0)
    output, status = shell.run(r"printf '\000\001\377\376\033[31mred\177\n'; head -c 3000 /dev/urandom; echo; echo end")
    assert status == 0
    assert output.endswith("end")
    assert "red" in output
    assert not set(output) & {chr(code) for code in (*range(10), *range(11, 32), 0x7F)}, "nothing that a terminal obeys"


def test_a_command_that_never_ends_is_interrupted_and_the_shell_goes_on(shell: Shell) -> None:
    with pytest.raises(BootFailure) as caught:
        shell.run("echo working; sleep 100000", timeout=1.0)
    assert "'echo working; sleep 100000' did not end within 1 s and was interrupted" in caught.value.what
    assert "seen last:" in caught.value.what
    assert "working" in caught.value.what
    assert shell.run("echo on") == ("on", 0)
    with pytest.raises(BootFailure, match="did not end"):
        shell.run("yes", timeout=0.5)
    assert shell.run("echo on") == ("on", 0)


@needs_ser2net
def test_a_line_that_is_lost_in_the_middle(tmp_path: Path) -> None:
    """The shell is there again when the line is; what a command printed meanwhile is not made up."""
    board = Board(tmp_path)
    with (
        Ser2net(tmp_path, str(board.device)) as server,
        ConsoleLog(lambda: open_port(server.url), tmp_path) as console,
    ):
        shell = login(console, "root", timeout=60)

        def restart() -> None:
            assert console.wait(lambda: "working" in console.tail(), 60.0)
            server.stop()
            server.start()

        restarting = threading.Thread(target=restart)
        restarting.start()
        with pytest.raises(InfraError, match="what it printed is not whole"):
            shell.run("for n in $(seq 1 20); do echo working $n; sleep 0.1; done", timeout=60)
        restarting.join()
        assert shell.run("echo on") == ("on", 0)
    board.close()


def test_the_echo_is_put_out_and_given_back(shell: Shell, console: ConsoleLog) -> None:
    assert "-echo " in shell.run("stty -a </dev/tty").output.replace(";", " ")
    shell.close()
    again = login(console, "root", timeout=60)
    assert again.run("echo on") == ("on", 0)
