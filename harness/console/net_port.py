# SPDX-License-Identifier: GPL-2.0-or-later
"""A console behind a serial server: raw TCP (`socket://`), telnet, or telnet with a COM port (`rfc2217://`)."""

import contextlib
import socket
import threading
import time
from urllib.parse import urlsplit

from harness.console.polled import Polled
from harness.console.port import BREAK, WRITE_TIMEOUT, PortGone, reason_of
from harness.console.telnet import BREAK as TELNET_BREAK
from harness.console.telnet import BREAK_OFF, BREAK_ON, IAC, SET_CONTROL, Telnet
from harness.errors import ConfigError, InfraError

SCHEMES = ("rfc2217", "telnet", "socket")

#: Seconds for the connection, and for the server's answer to a setting.
_CONNECT, _ANSWER = 5.0, 5.0

#: Seconds for a telnet server to say whether it takes binary; one that says nothing is taken as it is.
_SETTLE = 1.0

#: A server whose power is gone says nothing: asked after 10 silent seconds, every 5 s, given up after the third time.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))

_Address = tuple[str, str, int]


def address_of(url: str) -> _Address:
    """(scheme, host, port) of a console's URL. ConfigError: it is none. Options of pyserial's URLs (?...) are passed over."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme not in SCHEMES or not host or not port or parts.username or parts.path not in {"", "/"}:
        raise ConfigError(
            f"{url!r} is not the URL of a serial server",
            remedy="write rfc2217://HOST:PORT, telnet://HOST:PORT or socket://HOST:PORT, or the path of a device",
        )
    return scheme, host, port


class NetPort(Polled):
    """One connection. `read` belongs to one thread; `write`, `set_baud` and `send_break` may come from others."""

    def __init__(self, url: str, baud: int) -> None:
        scheme, host, port = address_of(url)
        self.name = url
        self._scheme = scheme
        self._telnet = None if scheme == "socket" else Telnet(com_port=scheme == "rfc2217")
        self._socket = _connect(url, host, port)
        super().__init__(self._socket.fileno())
        self._sending = threading.Lock()
        self._receiving = threading.Lock()
        self._inbox = bytearray()
        try:
            if self._telnet is not None:
                self._settle(self._telnet)
            if scheme == "rfc2217":
                self._open_com_port(baud)
        except PortGone as error:
            self._hear_out()
            self.close()
            raise InfraError(
                f"the console cannot be opened: {error}{self._said()}", place=url, remedy=_REMEDY_BUSY
            ) from error
        except BaseException:
            self.close()
            raise

    def read(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while True:
            with self._receiving:
                if self._inbox:
                    data = bytes(self._inbox)
                    self._inbox.clear()
                    return data
                got = self._receive(deadline - time.monotonic())
            if got is None:
                return b""
            if got:
                return got
            if time.monotonic() >= deadline:
                return b""

    def write(self, data: bytes) -> None:
        self._send(self._telnet.escape(data) if self._telnet is not None else data)

    def set_baud(self, baud: int) -> None:
        """ConfigError: only rfc2217 can; InfraError: the server does not take the rate."""
        if self._scheme != "rfc2217" or self._telnet is None:
            raise ConfigError(
                f"the rate of {self.name} cannot be set from here",
                remedy="use rfc2217:// with a server that speaks it, or set the rate at the serial server",
            )
        before = self._telnet.baud_answers
        self._send(self._telnet.set_baud(baud))
        self._await_baud(baud, before)

    def send_break(self, seconds: float = BREAK) -> None:
        """ConfigError: raw TCP has none. A telnet server makes it as long as it likes."""
        if self._telnet is None:
            raise ConfigError(
                f"no break can be sent over {self.name}: raw TCP carries octets alone",
                remedy="use telnet:// or rfc2217://, with a server that speaks it",
            )
        if self._scheme == "telnet":
            self._send(bytes((IAC, TELNET_BREAK)))
            return
        self._send(Telnet.command(SET_CONTROL, bytes((BREAK_ON,))))
        time.sleep(seconds)
        self._send(Telnet.command(SET_CONTROL, bytes((BREAK_OFF,))))

    def close(self) -> None:
        if self._shut():
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    # -- the connection ----------------------------------------------------------------------------------------------

    def _receive(self, timeout: float) -> bytes | None:
        """Octets of the line, b"" when only telnet's own words or nothing came; None: woken."""
        if self._closed:
            raise PortGone("the port is closed")
        try:
            ready = self._ready(timeout)
            if not ready:
                return None if ready is None else b""
            data = self._socket.recv(65536)
        except (OSError, ValueError) as error:
            raise PortGone(reason_of(error)) from error
        if not data:
            raise PortGone("the other side hung up")
        if self._telnet is None:
            return data
        data, answer = self._telnet.receive(data)
        if answer:
            with contextlib.suppress(PortGone):  # the next read tells; what came with it is not lost
                self._send(answer)
        return data

    def _send(self, data: bytes) -> None:
        if self._closed:
            raise PortGone("the port is closed")
        try:
            with self._sending:
                self._socket.sendall(data)
        except OSError as error:
            raise PortGone(reason_of(error)) from error

    def _settle(self, telnet: Telnet) -> None:
        self._send(telnet.start())
        deadline = time.monotonic() + _SETTLE
        while not telnet.settled and (left := deadline - time.monotonic()) > 0:
            self._inbox += self._receive(left) or b""

    def _open_com_port(self, baud: int) -> None:
        assert self._telnet is not None  # noqa: S101 - for the type checker
        deadline = time.monotonic() + _ANSWER
        while self._telnet.com_port is None and (left := deadline - time.monotonic()) > 0:
            self._inbox += self._receive(left) or b""
        if not self._telnet.com_port:
            said = "refuses" if self._telnet.com_port is False else "does not answer to"
            raise InfraError(
                f"the server {said} RFC 2217{self._said()}",
                place=self.name,
                remedy="let ser2net have `accepter: telnet(rfc2217),tcp,PORT` for it, or write telnet:// or socket://",
            )
        self._send(self._telnet.set_line(baud))
        self._await_baud(baud, 0)

    def _await_baud(self, baud: int, before: int) -> None:
        """Wait for the server's answer to a rate, whoever reads meanwhile."""
        telnet = self._telnet
        assert telnet is not None  # noqa: S101 - for the type checker
        deadline = time.monotonic() + _ANSWER
        while telnet.baud_answers == before and (left := deadline - time.monotonic()) > 0:
            if self._receiving.acquire(timeout=0.02):  # else another thread waits in `read`, and will hear the answer
                try:
                    self._inbox += self._receive(min(left, 0.2)) or b""
                finally:
                    self._receiving.release()
        if telnet.baud_answers == before:
            raise InfraError(f"the server does not answer to the rate {baud}", place=self.name, remedy=_REMEDY_RATE)
        if telnet.baud != baud:
            raise InfraError(
                f"the server set {telnet.baud} baud instead of {baud}", place=self.name, remedy=_REMEDY_RATE
            )

    def _hear_out(self) -> None:
        """What a server said before it hung up, though a write failed first."""
        with contextlib.suppress(PortGone):
            while data := self._receive(0.0):
                self._inbox += data

    def _said(self) -> str:
        """What came before it went wrong, as ser2net says why it takes nobody."""
        text = " ".join(bytes(self._inbox).decode("utf-8", "backslashreplace").split())
        return f"; it said {text[:120]!r}" if text else ""


_REMEDY_BUSY = "look at the serial server: does another client have this port, is its device there?"
_REMEDY_RATE = "correct baud: in lab.yaml to a rate that the serial server's device can do"


def _connect(url: str, host: str, port: int) -> socket.socket:
    try:
        connection = socket.create_connection((host, port), timeout=_CONNECT)
    except OSError as error:
        raise InfraError(
            f"the console cannot be opened: {reason_of(error)}",
            place=url,
            remedy="start the serial server, or correct host and port of this console in lab.yaml",
        ) from error
    connection.settimeout(WRITE_TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    return connection
