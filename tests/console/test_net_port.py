# SPDX-License-Identifier: GPL-2.0-or-later
"""Consoles behind serial servers: rates, breaks, and servers that do not do what is asked. ser2net and pyserial's own."""

import os
import pty
import socket
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serial import rfc2217

from harness.console import net_port
from harness.console.log import ConsoleLog
from harness.console.net_port import address_of
from harness.console.port import BytePort, PortGone, open_port
from harness.errors import ConfigError, InfraError

from .serial_server import Ser2net, needs_ser2net

pytestmark = pytest.mark.gear


class _Adapter:
    """The serial port that pyserial's server (`rfc2217.PortManager`) sets; it notes what was asked of it."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.bytesize, self.parity, self.stopbits, self.baudrate = 8, "N", 1, 9600
        self.rtscts = self.xonxoff = self.dsrdtr = False
        self.rts = self.dtr = True
        self.cts = self.dsr = self.ri = self.cd = False

    def __setattr__(self, name: str, value: object) -> None:
        if name != "did":
            self.did.append(f"{name}={value}")
        super().__setattr__(name, value)

    def get_settings(self) -> dict[str, object]:
        return {"baudrate": self.baudrate}

    def reset_input_buffer(self) -> None:
        self.did.append("purge")


@contextmanager
def _served(serve: Callable[[socket.socket], object]) -> Iterator[str]:
    """The address of a server that does `serve` with its first connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            connection, _ = server.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def _pyserial(adapter: _Adapter) -> Callable[[socket.socket], None]:
    """pyserial's server for `adapter`; what is written to its line comes back in capitals."""

    def serve(connection: socket.socket) -> None:
        manager = rfc2217.PortManager(adapter, _Connection(connection))
        while data := connection.recv(1000):
            text = b"".join(manager.filter(data))
            connection.sendall(b"".join(manager.escape(text.upper())))

    return serve


class _Connection:
    def __init__(self, connection: socket.socket) -> None:
        self.write = connection.sendall


def _read(port: BytePort, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += port.read(5.0)
    return got


def test_another_server_is_understood_and_its_lines_are_set() -> None:
    adapter = _Adapter()
    with _served(_pyserial(adapter)) as address:
        port = open_port(f"rfc2217://{address}", 57600)
        assert adapter.baudrate == 57600
        port.write(b"login\xff\r\n")
        assert _read(port, 8) == b"LOGIN\xff\r\n"
        port.set_baud(1_500_000)
        assert adapter.baudrate == 1_500_000
        before = len(adapter.did)
        port.send_break(0.0)
        port.set_baud(9600)  # answered when what was sent before is done
        assert adapter.did[before:-1] == ["break_condition=True", "break_condition=False"]
        assert not [did for did in adapter.did if did.startswith(("rts=", "dtr=")) and did.endswith("False")]
        assert "purge" not in adapter.did, "what comes while the line is opened belongs to the boot"
        port.close()


@needs_ser2net
def test_ser2net_sets_the_rate_while_another_thread_reads(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with Ser2net(tmp_path, os.ttyname(slave)) as server:
        port = open_port(server.url, 9600)
        assert termios.tcgetattr(slave)[4] == termios.B9600
        got: list[bytes] = []

        def read() -> None:
            while b"end" not in b"".join(got):
                got.append(port.read(5.0))

        reader = threading.Thread(target=read)
        reader.start()
        port.set_baud(115200)
        assert termios.tcgetattr(slave)[4] == termios.B115200
        port.set_baud(57600)
        assert termios.tcgetattr(slave)[4] == termios.B57600
        os.write(master, b"end")
        reader.join()
        port.send_break(0.0)  # a pty has none; the server answers all the same
        os.write(master, b"on")
        assert _read(port, 2) == b"on"
        port.close()
    os.close(master)
    os.close(slave)


@needs_ser2net
def test_a_rate_that_changes_in_the_middle_of_a_boot(tmp_path: Path) -> None:
    """Set by the thread that reads, which is the one that must hear the server's answer."""
    master, slave = pty.openpty()
    with (
        Ser2net(tmp_path, os.ttyname(slave)) as server,
        ConsoleLog(lambda: open_port(server.url), tmp_path, baud_after={"kernel.start": 57600}) as console,
    ):
        os.write(master, b"[    0.000000] Booting Linux on physical CPU 0x0\r\n")
        assert console.wait(lambda: console.baud == 57600, 60.0)
        assert termios.tcgetattr(slave)[4] == termios.B57600
        os.write(master, b"[    1.000000] Run /init as init process\r\n")
        assert console.wait(lambda: "Run /init" in console.tail(), 60.0)
        assert console.losses == 0
    os.close(master)
    os.close(slave)


@needs_ser2net
def test_ser2net_whose_port_somebody_has_says_so(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with Ser2net(tmp_path, os.ttyname(slave)) as server:
        port = open_port(server.url)
        with pytest.raises(InfraError) as caught:
            open_port(server.url)
        assert "in use" in caught.value.what
        assert "another client" in caught.value.remedy
        port.close()
    os.close(master)
    os.close(slave)


@needs_ser2net
def test_ser2net_without_rfc2217_is_told_what_to_be_given(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with Ser2net(tmp_path, os.ttyname(slave), "telnet") as server:
        with pytest.raises(InfraError) as caught:
            open_port(server.url.replace("telnet:", "rfc2217:"))
        assert "RFC 2217" in caught.value.what
        assert "telnet(rfc2217)" in caught.value.remedy
    os.close(master)
    os.close(slave)


def test_a_server_that_answers_nothing_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net_port, "_ANSWER", 0.2)
    monkeypatch.setattr(net_port, "_SETTLE", 0.1)

    def silent(connection: socket.socket) -> None:
        while connection.recv(1000):
            pass

    with _served(silent) as address, pytest.raises(InfraError, match="does not answer to RFC 2217"):
        open_port(f"rfc2217://{address}")


def test_a_server_that_sets_another_rate_is_not_believed() -> None:
    class Slow(_Adapter):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, 9600 if name == "baudrate" else value)

    with _served(_pyserial(Slow())) as address, pytest.raises(InfraError, match="set 9600 baud instead of 115200"):
        open_port(f"rfc2217://{address}")


def test_a_server_that_hangs_up_while_the_line_opens() -> None:
    with (
        _served(lambda connection: connection.sendall(b"Port already in use\r\n")) as address,
        pytest.raises(InfraError, match="it said 'Port already in use'"),
    ):
        open_port(f"rfc2217://{address}")


def test_telnet_breaks_with_its_own_command() -> None:
    heard = bytearray()

    def serve(connection: socket.socket) -> None:
        connection.sendall(bytes((255, 253, 0, 255, 251, 0)))
        while data := connection.recv(1000):
            heard.extend(data)

    with _served(serve) as address:
        port = open_port(f"telnet://{address}")
        port.send_break()
        port.close()
    assert heard.endswith(b"\xff\xf3")


def test_raw_tcp_has_neither_rates_nor_breaks() -> None:
    with _served(lambda connection: connection.recv(1)) as address:
        port = open_port(f"socket://{address}")
        with pytest.raises(ConfigError, match="cannot be set from here") as caught:
            port.set_baud(9600)
        assert "rfc2217://" in caught.value.remedy
        with pytest.raises(ConfigError, match="no break"):
            port.send_break()
        port.close()


def test_a_dead_server_is_noticed() -> None:
    """Its machine is gone without a word: the kernel asks after it."""
    with _served(lambda connection: connection.recv(1)) as address:
        port = open_port(f"socket://{address}")
        connection = port._socket  # type: ignore[attr-defined]
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        asked = [connection.getsockopt(socket.IPPROTO_TCP, option) for option, _ in net_port._KEEPALIVE]
        assert asked[0] + asked[1] * asked[2] <= 30
        port.close()


def test_a_server_that_does_not_take_what_is_sent_is_a_lost_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net_port, "WRITE_TIMEOUT", 0.2)
    done = threading.Event()
    with _served(lambda _connection: done.wait(60)) as address:
        port = open_port(f"socket://{address}")
        with pytest.raises(PortGone, match="timed out"):  # noqa: PT012 - the buffers of both ends come first
            for _ in range(1000):
                port.write(b"x" * 100_000)
        port.close()
        done.set()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("rfc2217://host:4000?ign_set_control&timeout=3", ("rfc2217", "host", 4000)),
        ("socket://[::1]:23/", ("socket", "::1", 23)),
        ("telnet://10.0.0.5:2001", ("telnet", "10.0.0.5", 2001)),
    ],
)
def test_addresses(url: str, address: tuple[str, str, int]) -> None:
    assert address_of(url) == address


def test_time_is_bounded_for_an_unreachable_server() -> None:
    start = time.monotonic()
    with pytest.raises(InfraError, match="cannot be opened"):
        open_port("socket://127.0.0.1:1")
    assert time.monotonic() - start < 30
