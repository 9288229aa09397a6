# SPDX-License-Identifier: GPL-2.0-or-later
"""The line to a board: a byte stream that may vanish. Any device, pty or pyserial URL.

`BytePort` is the seam. Invariants that every port keeps (tests/console/test_port_contract.py):

- `read` gives what is there as soon as something is there, b"" when nothing came within the timeout or `interrupt` was
  called, and raises `PortGone` when the line is lost: never b"" for ever.
- `write` writes all or raises `PortGone`, within its time limit.
- `interrupt` wakes a blocked `read`, from any thread, and does nothing to a closed port; `close` may be called twice.
"""

import contextlib
import os
import select
import termios
import threading
from collections.abc import Callable
from typing import Protocol

import serial

from harness.errors import ConfigError, InfraError

BAUD = 115200

#: Seconds that a write may take: 4 KiB at 115200 baud last 0.36 s; a full buffer that does not drain is a lost line.
WRITE_TIMEOUT = 5.0

#: Seconds between looks at `interrupt` for ports without a file descriptor (rfc2217, loop).
_SLICE = 0.1


class PortGone(Exception):  # noqa: N818 - what happened, not a defect
    """The line is lost; the text says why."""


class BytePort(Protocol):
    """See the module's docstring. name: for people, e.g. the device or URL."""

    name: str

    def read(self, timeout: float) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


Opener = Callable[[], BytePort]


class SerialPort:
    """A port that pyserial opens: "/dev/ttyUSB0", "/dev/pts/7", "socket://host:port", "rfc2217://host:port" ...

    Devices are locked (flock) where the system can: two readers of one line each get half of it.
    """

    def __init__(self, url: str, baudrate: int = BAUD) -> None:
        self.name = url
        self._serial = _open(url, baudrate)
        self._fd = _fileno(self._serial)
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._closed = False
        self._closing = threading.Lock()
        self._poll = select.poll()
        self._poll.register(self._wake_read, select.POLLIN)
        if self._fd is not None:
            self._poll.register(self._fd, select.POLLIN)

    def read(self, timeout: float) -> bytes:
        if self._closed:
            raise PortGone("the port is closed")
        try:
            return self._read_fd(timeout) if self._fd is not None else self._read_blocking(timeout)
        except (OSError, serial.SerialException, ValueError, TypeError) as error:
            # pyserial lets TypeError through when another thread closes the port under it.
            raise PortGone(_reason(error)) from error

    def write(self, data: bytes) -> None:
        if self._closed:
            raise PortGone("the port is closed")
        try:
            self._serial.write(data)
        except (OSError, serial.SerialException, ValueError, TypeError) as error:
            raise PortGone(_reason(error)) from error

    def interrupt(self) -> None:
        with self._closing, contextlib.suppress(BlockingIOError):
            if not self._closed:  # else the number may be somebody else's file by now
                os.write(self._wake_write, b"!")

    def close(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            os.close(self._wake_read)
            os.close(self._wake_write)
        with contextlib.suppress(Exception):
            self._serial.close()

    def _read_fd(self, timeout: float) -> bytes:
        assert self._fd is not None  # noqa: S101 - for the type checker
        ready = [fd for fd, _ in self._poll.poll(timeout * 1000)]
        if self._wake_read in ready:
            self._drain()
            return b""
        if not ready:
            return b""
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return b""
        if not data:
            raise PortGone("the other side hung up")
        return data

    def _read_blocking(self, timeout: float) -> bytes:
        waited = 0.0
        while True:
            # A blocking read of one octet, cut into slices: these ports have nothing that could be polled.
            self._serial.timeout = max(0.0, min(_SLICE, timeout - waited))
            data = self._serial.read(1)
            if data:
                return bytes(data + self._serial.read(self._serial.in_waiting))  # type: ignore[attr-defined]
            waited += _SLICE
            if self._drain() or waited >= timeout:
                return b""

    def _drain(self) -> bool:
        try:
            return bool(os.read(self._wake_read, 4096))
        except BlockingIOError:
            return False


def open_port(url: str, baudrate: int = BAUD) -> BytePort:
    """Open `url`. ConfigError: no such kind of URL; InfraError: it cannot be opened (now)."""
    return SerialPort(url, baudrate)


def _open(url: str, baudrate: int) -> serial.SerialBase:
    try:
        port = serial.serial_for_url(url, do_not_open=True, baudrate=baudrate, timeout=0, write_timeout=WRITE_TIMEOUT)
    except ValueError as error:
        raise ConfigError(
            f"the console {url!r} is not a device or URL that pyserial knows: {error}",
            remedy="write a device (/dev/serial/by-id/...), socket://HOST:PORT or rfc2217://HOST:PORT",
        ) from error
    if isinstance(port, serial.Serial):
        port.exclusive = True
    try:
        port.open()
    except (OSError, serial.SerialException, ValueError, termios.error) as error:
        raise InfraError(
            f"the console cannot be opened: {_reason(error)}", place=url, remedy=_remedy(error, url)
        ) from error
    return port


def _fileno(port: serial.SerialBase) -> int | None:
    try:
        return int(port.fileno())
    except (OSError, AttributeError, NotImplementedError):
        return None  # rfc2217 and loop have none; io.UnsupportedOperation is an OSError


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _remedy(error: BaseException, url: str) -> str:
    text = str(error)
    if "exclusively lock" in text or "busy" in text:
        return "another program reads this console (screen, minicom, another run of this lab?): end it"
    if "Permission" in text:
        return "add your user to the group that owns the device (on Debian: adduser USER dialout) and log in anew"
    if "://" in url:
        return "start the serial server, or correct host and port of this console in lab.yaml"
    return "plug the adapter in, or correct this board's console in lab.yaml (ls /dev/serial/by-id/)"
