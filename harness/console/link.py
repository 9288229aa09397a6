# SPDX-License-Identifier: GPL-2.0-or-later
"""The line of a console while it is there: opened, lost, opened again with growing pauses, and written to.

A line that drops again at once after it was opened (a serial server whose port somebody else has) did not return: the outage
counts on, and so do the pauses. A pseudo-terminal that has gone is not opened again: its name is another one's now.
"""

import threading
import time
from collections.abc import Callable

from harness.console import pseudo
from harness.console.port import BAUD, BREAK, BytePort, Opener, PortGone
from harness.console.sending import Pace
from harness.errors import HarnessError, InfraError

#: Seconds before the first attempt to open a lost line again; doubled with each one up to the second figure. A USB adapter
#: returns within half a second, a restarted serial server within a few.
_FIRST, _LONGEST = 0.1, 2.0

#: Seconds that a line must stay open to have returned.
_STAYS = 1.0


class Link:
    """port: the open port, None while it is lost. Opened, lost and reopened by one thread; written to by any. baud: the rate that
    `opener` sets.
    """

    def __init__(
        self, opener: Opener, name: str, reconnect_for: float, *, baud: int = BAUD, pace: Pace | None = None
    ) -> None:
        self.name = name
        self.port: BytePort | None = None
        self._open = opener
        self._reconnect_for = reconnect_for
        self._pace = pace or Pace()
        self._first_baud = self.baud = baud
        self._write_lock = threading.Lock()
        self._trail: pseudo.Trail | None = None
        self._opened = 0.0
        self._gone_since: float | None = None
        self._pause = _FIRST
        self._given_up = False

    def open(self) -> None:
        """InfraError, ConfigError: it cannot be opened."""
        port = self._open()
        if self.baud != self._first_baud:
            try:
                port.set_baud(self.baud)
            except BaseException as error:
                port.close()
                if isinstance(error, PortGone):
                    raise InfraError(f"the console cannot be opened: {error}", place=port.name) from error
                raise
        self.name = port.name
        self._trail = pseudo.trail(port.name)
        self._opened = time.monotonic()
        self.port = port

    def lost(self, reason: str) -> HarnessError | None:
        """The port has gone: it is closed, `retry` opens it again. An error, once, when it drops again and again."""
        port, self.port = self.port, None
        if port is not None:
            port.close()
        now = time.monotonic()
        if self._gone_since is None or now - self._opened >= _STAYS:
            self._gone_since, self._pause, self._given_up = now, _FIRST, False
            return None
        return self._give_up(
            f"the console drops as soon as it is opened, for {self._reconnect_for:g} s now: {reason}",
            "end what else uses this port of the serial server (another client, another run of this lab?)",
        )

    def retry(self, stop: threading.Event) -> tuple[str, HarnessError | None]:
        """Wait a while, then try to open it: ("", None) when it is not there yet, (how, None) when it is open again, and
        ("", error) once when it has been away too long. The attempts go on after that: a line that returns late still has
        something to tell.
        """
        stop.wait(self._pause)
        if stop.is_set():
            return "", None
        self._pause = min(2 * self._pause, _LONGEST)
        if self._trail is not None and pseudo.trail(self.name) == self._trail:
            what = "the console vanished, and a pty that has gone does not come back: its name is the next one's"
            remedy = (
                "look at what ended the program on its other side; one that starts again needs a link of its own "
                "(socat: pty,link=/run/console-1) as the console in lab.yaml"
            )
            return "", self._give_up(what, remedy, at_once=not self._trail)
        before = self.name
        try:
            self.open()
        except HarnessError as error:
            what = f"the console vanished and did not come back within {self._reconnect_for:g} s: {error.what}"
            return "", self._give_up(what, error.remedy)
        renamed = f" as {self.name}" if self.name != before else ""
        return f"reopened{renamed} after {self._away():.1f} s", None

    def _away(self) -> float:
        return time.monotonic() - (self._gone_since or 0.0)

    def _give_up(self, what: str, remedy: str, *, at_once: bool = False) -> HarnessError | None:
        if self._given_up or (self._away() <= self._reconnect_for and not at_once):
            return None
        self._given_up = True
        return InfraError(what, place=self.name, remedy=remedy)

    def write(self, data: bytes) -> None:
        """Send octets, at the line's pace. InfraError when the line is lost."""

        def type_(port: BytePort) -> None:
            for piece, pause in self._pace.parts(data):
                port.write(piece)
                if pause:
                    time.sleep(pause)

        self._do(type_)

    def set_baud(self, baud: int) -> None:
        """Another rate, also after the line was lost. InfraError, ConfigError."""
        if self.port is not None:
            self._do(lambda port: port.set_baud(baud))
        self.baud = baud

    def send_break(self, then: bytes = b"") -> None:
        """A break, and octets right after it that nobody else's come before. InfraError, ConfigError."""

        def send(port: BytePort) -> None:
            port.send_break(BREAK)
            if then:
                port.write(then)

        self._do(send)

    def _do(self, what: Callable[[BytePort], None]) -> None:
        port = self.port
        if port is None:
            raise InfraError(
                "the console is lost, nothing can be sent", place=self.name, remedy="see its gaps in the record"
            )
        try:
            with self._write_lock:
                what(port)
        except PortGone as error:
            raise InfraError(f"nothing can be sent to the console: {error}", place=self.name) from error
