# SPDX-License-Identifier: GPL-2.0-or-later
"""A serial device of this machine, or a pty. It is locked: two readers of one line each get half of it."""

import contextlib
import errno
import fcntl
import os
import termios
import time

import serial

from harness.console.holders import Holder, held_by, holders, keep_off
from harness.console.polled import Polled
from harness.console.port import BREAK, WRITE_TIMEOUT, PortGone, reason_of
from harness.errors import ConfigError, InfraError

#: pyserial lets TypeError through when another thread closes the port under it.
_GONE = (OSError, serial.SerialException, ValueError, TypeError, termios.error)

#: Octets that a terminal line gives at once at most (N_TTY_BUF_SIZE, less one), and how often more is asked for then.
_AT_ONCE, _TIMES = 4095, 16


class DevicePort(Polled):
    """Locked with flock(2), which other harnesses, picocom and minicom respect, and TIOCEXCL, which keeps everybody but root
    from opening it.
    """

    def __init__(self, device: str, baud: int) -> None:
        self.name = device
        self._serial = _open(device, baud)
        self._exclusive = not _is_pty(device)  # a line of its own, not one end of a program's
        if self._exclusive and (others := holders(device)):
            self._serial.close()
            raise _busy(device, others)
        self._fd = int(self._serial.fileno())
        if self._exclusive:  # a pty would keep it for as long as its other end is open, a killed reader notwithstanding
            fcntl.ioctl(self._fd, termios.TIOCEXCL)
        super().__init__(self._fd)

    def read(self, timeout: float) -> bytes:
        if self._closed:
            raise PortGone("the port is closed")
        try:
            # Without waiting: read and see, which costs half of asking first. Nothing to read is not yet a hang-up.
            if not timeout and (data := self._take()):
                return data
            if not self._ready(timeout):
                return b""
            data = self._take()
        except BlockingIOError:
            return b""
        except _GONE as error:
            raise PortGone(reason_of(error)) from error
        if not data:
            raise PortGone("the other side hung up")
        return data

    def _take(self) -> bytes:
        data = more = os.read(self._fd, _AT_ONCE)
        with contextlib.suppress(OSError):  # nothing more now, or the end: the next read says so
            while len(more) == _AT_ONCE and len(data) < _TIMES * _AT_ONCE:
                more = os.read(self._fd, _AT_ONCE)
                data += more
        return data

    def write(self, data: bytes) -> None:
        if self._closed:
            raise PortGone("the port is closed")
        try:
            self._serial.write(data)
        except _GONE as error:
            raise PortGone(reason_of(error)) from error

    def set_baud(self, baud: int) -> None:
        """ConfigError: the device cannot do this rate."""
        if self._closed:
            raise PortGone("the port is closed")
        before = self._serial.baudrate
        try:
            self._serial.baudrate = baud
        except ValueError as error:
            self._serial.baudrate = before
            raise ConfigError(f"{self.name} cannot do {baud} baud: {error}", remedy="choose another rate") from error
        except _GONE as error:
            raise PortGone(reason_of(error)) from error

    def send_break(self, seconds: float = BREAK) -> None:
        """ConfigError: a pty has none, and a SysRq key after it would be typed into the shell."""
        if self._closed:
            raise PortGone("the port is closed")
        if not self._exclusive:
            raise ConfigError(
                f"no break can be sent over {self.name}: it is a pty", remedy="try it on a board with a serial line"
            )
        try:
            self._serial.break_condition = True
            time.sleep(seconds)
            self._serial.break_condition = False
        except _GONE as error:
            raise PortGone(reason_of(error)) from error

    def close(self) -> None:
        if not self._shut():
            return
        with contextlib.suppress(*_GONE):
            if self._exclusive:
                fcntl.ioctl(self._fd, termios.TIOCNXCL)
        with contextlib.suppress(*_GONE):
            self._serial.close()


def _is_pty(device: str) -> bool:
    """The program behind a pty may have both of its ends open: that is no second reader."""
    return os.path.realpath(device).startswith("/dev/pts/")


def _open(device: str, baud: int) -> serial.Serial:
    port = serial.Serial(baudrate=baud, timeout=0, write_timeout=WRITE_TIMEOUT)
    port.port = device
    port.exclusive = True
    try:
        port.open()
    except (OSError, serial.SerialException, ValueError, termios.error) as error:
        if _is_busy(error):
            raise _busy(device, holders(device)) from error
        if getattr(error, "errno", None) in {errno.EACCES, errno.EPERM}:
            raise InfraError(
                f"no right to open the console: {reason_of(error)}",
                place=device,
                remedy="add your user to the group that owns the device (on Debian: adduser USER dialout) and log in anew",
            ) from error
        raise InfraError(
            f"the console cannot be opened: {reason_of(error)}",
            place=device,
            remedy="plug the adapter in, or correct this board's console in lab.yaml (ls /dev/serial/by-id/)",
        ) from error
    return port


def _is_busy(error: BaseException) -> bool:
    return getattr(error, "errno", None) in {errno.EBUSY, errno.EAGAIN} or "exclusively lock" in str(error)


def _busy(device: str, by: list[Holder]) -> InfraError:
    known = next((remedy for holder in by if (remedy := keep_off(holder.name, device))), "")
    return InfraError(
        f"the console is in use: {held_by(by) or 'another program has locked it'}",
        place=device,
        remedy=known or "another program reads this console (screen, minicom, another run of this lab?): end it",
    )
