# SPDX-License-Identifier: GPL-2.0-or-later
"""Every port, real or double, keeps the invariants that `harness.console.port` writes down."""

import os
import pty
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.console.port import BytePort, PortGone, open_port
from harness.errors import ConfigError, InfraError

from .doubles import ScriptPort
from .serial_server import Ser2net, needs_ser2net

pytestmark = pytest.mark.gear


@dataclass
class Line:
    """A port and its far end."""

    port: BytePort
    say: Callable[[bytes], object]
    heard: Callable[[int], bytes]
    hang_up: Callable[[], object]


def _pty(_folder: Path) -> Iterator[Line]:
    master, slave = pty.openpty()
    tty.setraw(master)
    port = open_port(os.ttyname(slave))
    os.close(slave)
    open_ends = [master]

    def hang_up() -> None:
        os.close(open_ends.pop())

    yield Line(port, lambda data: os.write(master, data), lambda n: os.read(master, n), hang_up)
    port.close()
    for end in open_ends:
        os.close(end)


def _socket(_folder: Path) -> Iterator[Line]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = open_port(f"socket://127.0.0.1:{server.getsockname()[1]}")
        far, _ = server.accept()
    with far:
        yield Line(port, far.sendall, far.recv, far.close)
        port.close()


def _ser2net(scheme: str) -> Callable[[Path], Iterator[Line]]:
    """A serial server's port, with a pty as its device."""

    def opened(folder: Path) -> Iterator[Line]:
        master, slave = pty.openpty()
        tty.setraw(master)
        with Ser2net(folder, os.ttyname(slave), scheme) as server:
            port = open_port(server.url)
            yield Line(port, lambda data: os.write(master, data), lambda n: _from(master, n), server.stop)
            port.close()
        os.close(master)
        os.close(slave)

    return opened


def _from(fd: int, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += os.read(fd, size - len(got))
    return got


def _double(_folder: Path) -> Iterator[Line]:
    port = ScriptPort()

    def hang_up() -> None:
        port.gone = "gone"
        port.interrupt()

    yield Line(port, port.say, lambda n: bytes(port.written[:n]), hang_up)


@pytest.fixture(
    params=[
        pytest.param(_pty, id="pty"),
        pytest.param(_socket, id="socket"),
        pytest.param(_ser2net("socket"), id="ser2net raw", marks=needs_ser2net),
        pytest.param(_ser2net("telnet"), id="ser2net telnet", marks=needs_ser2net),
        pytest.param(_ser2net("rfc2217"), id="ser2net rfc2217", marks=needs_ser2net),
        pytest.param(_double, id="double"),
    ]
)
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Line]:
    yield from request.param(tmp_path)


def _read(port: BytePort, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += port.read(5.0)
    return got


def test_reads_all_that_is_said(line: Line) -> None:
    data = bytes(range(256)) * 8
    line.say(data)
    assert _read(line.port, len(data)) == data


def test_nothing_said_is_empty_after_the_timeout(line: Line) -> None:
    assert line.port.read(0.01) == b""
    assert line.port.read(0.0) == b""


def test_writes_all(line: Line) -> None:
    line.port.write(b"root\n")
    assert line.heard(5) == b"root\n"
    every = bytes(range(256))
    line.port.write(every)
    assert line.heard(5 + 256)[-256:] == every if isinstance(line.port, ScriptPort) else line.heard(256) == every


def test_interrupt_wakes_a_blocked_read(line: Line) -> None:
    waker = threading.Thread(target=line.port.interrupt)
    waker.start()
    assert line.port.read(30.0) == b""  # the suite's own time limit would end it otherwise
    waker.join()


def test_a_line_that_hangs_up_is_gone_and_not_silent(line: Line) -> None:
    line.hang_up()
    with pytest.raises(PortGone):  # noqa: PT012 - the first read may still give what was under way
        for _ in range(5):
            line.port.read(1.0)


def test_close_twice_then_gone(line: Line) -> None:
    line.port.close()
    line.port.close()
    # Not a word into a file that got one of the port's old numbers: both ends of a socket pair can be written.
    pairs = [socket.socketpair() for _ in range(8)]
    line.port.interrupt()
    for end in (end for pair in pairs for end in pair):
        end.setblocking(False)
        with pytest.raises(BlockingIOError):
            end.recv(1)
    for end in (end for pair in pairs for end in pair):
        end.close()
    with pytest.raises(PortGone):
        line.port.read(0.0)
    with pytest.raises(PortGone):
        line.port.write(b"x")


def test_a_device_is_locked_against_a_second_reader() -> None:
    master, slave = pty.openpty()
    first = open_port(os.ttyname(slave))
    with pytest.raises(InfraError) as caught:
        open_port(os.ttyname(slave))
    assert "another program reads this console" in caught.value.remedy
    first.close()
    open_port(os.ttyname(slave)).close()
    os.close(master)
    os.close(slave)


def test_what_cannot_be_opened_names_who_must_act() -> None:
    with pytest.raises(InfraError) as missing:
        open_port("/dev/serial/by-id/no-such-adapter")
    assert missing.value.place == "/dev/serial/by-id/no-such-adapter"
    assert "lab.yaml" in missing.value.remedy
    for url in ("ftp://host:23", "telnet://host", "socket://:23", "rfc2217://host:x", "socket://user@host:1"):
        with pytest.raises(ConfigError, match="not the URL of a serial server"):
            open_port(url)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(InfraError) as refused:
        open_port(f"socket://127.0.0.1:{port}")
    assert "serial server" in refused.value.remedy
