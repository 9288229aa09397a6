# SPDX-License-Identifier: GPL-2.0-or-later
"""Serial devices: who else has them, rates, breaks."""

import fcntl
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.console import device_port, holders
from harness.console.device_port import DevicePort
from harness.console.holders import Holder, held_by
from harness.console.port import PortGone, open_port
from harness.errors import ConfigError, InfraError

pytestmark = pytest.mark.gear

_HOLD = (
    "import fcntl, os, sys; fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); {}; print(flush=True); sys.stdin.read()"
)


@pytest.fixture
def device() -> Iterator[str]:
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


@contextmanager
def _holder(device: str, do: str = "pass") -> Iterator[int]:
    """The process id of another program that has `device` open."""
    argv = [sys.executable, "-c", _HOLD.format(do), device]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.communicate()


def test_who_holds_a_locked_device_is_named(device: str) -> None:
    with _holder(device, "fcntl.flock(fd, fcntl.LOCK_EX)") as pid:
        with pytest.raises(InfraError) as caught:
            open_port(device)
        assert f"held by process {pid} (python" in caught.value.what
        assert "end it" in caught.value.remedy
    open_port(device).close()


def test_a_reader_without_a_lock_would_tear_the_text_apart(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_port, "_is_pty", lambda _device: False)
    with _holder(device) as pid, pytest.raises(InfraError, match=rf"held by process {pid} \("):
        DevicePort(device, 9600)


def test_a_lock_is_found_where_its_holder_cannot_be_looked_into(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "_openers", lambda _device: [])
    with _holder(device, "fcntl.flock(fd, fcntl.LOCK_EX)") as pid:
        assert [holder.pid for holder in holders.holders(device)] == [pid]


def test_a_lock_file_of_minicom_counts_while_it_lives(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "_UUCP", (str(tmp_path),))
    lock = tmp_path / f"LCK..{Path(device).name}"
    lock.write_text(f"{os.getppid():>10} minicom\n")
    assert os.getppid() in [holder.pid for holder in holders.holders(device)]
    lock.write_text("4194304 minicom\n")
    assert holders.holders(device) == []
    lock.write_text("no number")
    assert holders.holders(device) == []


def test_nobody_is_named_when_nobody_is_known(device: str) -> None:
    assert holders.holders(device) == []
    assert held_by([]) == ""
    assert held_by([Holder(1, "init"), Holder(2, "x")]) == "held by process 1 (init), 2 (x)"


def test_a_device_is_kept_from_others_while_it_is_read_and_given_back(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_port, "_is_pty", lambda _device: False)
    asked: list[int] = []
    real = fcntl.ioctl

    def ioctl(fd: int, request: int, *rest: object) -> object:
        asked.append(request)
        return real(fd, request, *rest)  # type: ignore[call-overload]

    monkeypatch.setattr(device_port.fcntl, "ioctl", ioctl)
    port = DevicePort(device, 9600)
    assert termios.TIOCEXCL in asked
    assert termios.TIOCNXCL not in asked
    port.close()
    assert termios.TIOCNXCL in asked


def test_a_pty_has_no_break(device: str) -> None:
    """A SysRq key after a break that was none would be typed into somebody's shell."""
    port = open_port(device)
    with pytest.raises(ConfigError, match="it is a pty"):
        port.send_break()
    port.close()


def test_the_rate_is_changed_while_it_is_open(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_port, "_is_pty", lambda _device: False)
    port = open_port(device, 9600)
    fd = os.open(device, os.O_RDWR | os.O_NOCTTY)
    assert termios.tcgetattr(fd)[4] == termios.B9600
    port.set_baud(1_500_000)
    assert termios.tcgetattr(fd)[4] == termios.B1500000
    os.close(fd)
    broken: list[bool] = []
    monkeypatch.setattr(type(port._serial), "_update_break_state", lambda line: broken.append(line._break_state))  # type: ignore[attr-defined]
    port.send_break(0.0)
    assert broken == [True, False]
    port.close()
    for gone in (lambda: port.set_baud(9600), port.send_break):
        with pytest.raises(PortGone):
            gone()


def test_a_device_that_may_not_be_opened_names_the_group(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(device_port.serial.Serial, "open", refuse)
    with pytest.raises(InfraError, match="Permission denied") as caught:
        open_port(device)
    assert "dialout" in caught.value.remedy
