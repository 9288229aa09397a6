# SPDX-License-Identifier: GPL-2.0-or-later
"""The line to a board: a byte stream that may vanish.

`BytePort` is the seam. Invariants that every port keeps (tests/console/test_port_contract.py):

- `read` gives what is there as soon as something is there, b"" when nothing came within the timeout or `interrupt` was
  called, and raises `PortGone` when the line is lost: never b"" for ever.
- `write` writes all or raises `PortGone`, within its time limit.
- `interrupt` wakes a blocked `read`, from any thread, and does nothing to a closed port; `close` may be called twice.
- `set_baud` and `send_break` are done when they return; `PortGone`, or ConfigError where this kind of line has no such thing.
"""

from collections.abc import Callable
from typing import Protocol

BAUD = 115200

#: Seconds that a write may take: 4 KiB at 115200 baud last 0.36 s; a full buffer that does not drain is a lost line.
WRITE_TIMEOUT = 5.0

#: Seconds of a break, as tcsendbreak(3) has it: anything longer than one character is one.
BREAK = 0.25


class PortGone(Exception):  # noqa: N818 - what happened, not a defect
    """The line is lost; the text says why."""


class BytePort(Protocol):
    """See the module's docstring. name: for people, e.g. the device or URL."""

    name: str

    def read(self, timeout: float) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    def set_baud(self, baud: int) -> None: ...

    def send_break(self, seconds: float = BREAK) -> None: ...

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


Opener = Callable[[], BytePort]


def open_port(url: str, baud: int = BAUD) -> BytePort:
    """Open a device ("/dev/ttyUSB0", "/dev/pts/7"), "rfc2217://HOST:PORT", "telnet://HOST:PORT" or "socket://HOST:PORT".

    ConfigError: no such kind of line; InfraError: it cannot be opened (now).
    """
    if "://" in url:
        from harness.console.net_port import NetPort  # noqa: PLC0415 - each lab uses one kind

        return NetPort(url, baud)
    from harness.console.device_port import DevicePort  # noqa: PLC0415

    return DevicePort(url, baud)


def reason_of(error: BaseException) -> str:
    """What an error of the system says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
