# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a board's own program against a real TFTP server, without being the board: its datagrams go through ordinary sockets.

What the program asks for, in which order and with which options, is the emulator's, octet for octet. Only the outside of the
packets is ours: this host's address and MAC, a port of this host's choice.
"""

import hashlib
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from harness.emulator.effects import Halt, HandOver, Link, Recv, Send, Sleep, Steps, Stream
from harness.emulator.packets import udp_frame
from harness.emulator.tftp import Transfer
from harness.inspection.netboot.pi import Pi

T = TypeVar("T")

#: Seconds of silence after which a server is taken for dead; a board waits up to 30 s, three requests at least.
SILENCE = 7.0
_LARGEST = 1 << 16
_RESULTS = {"complete": "complete", "probed": "early terminate", "timeout": "timeout"}


@dataclass(frozen=True)
class Got:
    """One request and its end; result as of harness.boot.record.TftpTransfer; start: epoch seconds."""

    path: str
    result: str
    kind: str
    size: int
    start: float
    seconds: float
    sha256: str | None
    oack: bool
    error: tuple[int, str]


class Ended(Exception):  # noqa: N818 - it ends a walk, in words
    """The program stands still, or the walk was given up; str(): why."""


@dataclass
class Walk:
    """got: all requests so far, in their order. deadline: time.monotonic() at which the walk is given up."""

    pi: Pi
    server: str
    deadline: float
    silence: float = SILENCE
    on_got: Callable[[Got], None] = lambda _got: None
    got: list[Got] = field(default_factory=list)
    _socket: socket.socket | None = None
    _port: int = 0
    _path: str = ""

    def run(self, program: Steps[T]) -> T:
        """To the program's end. Raises Ended when it halts, when the server is silent, or at the deadline."""
        answer: object = None
        try:
            while True:
                effect = program.send(answer)
                answer = None
                if isinstance(effect, Send):
                    self._send(effect.frame)
                elif isinstance(effect, Stream):
                    assert isinstance(effect.receiver, Transfer)  # noqa: S101 - nothing else streams behind the DHCP stage
                    self._stream(effect.receiver)
                elif isinstance(effect, Sleep):
                    self.pi.clock.to(effect.until)
                elif isinstance(effect, Recv):
                    self.pi.clock.to(effect.deadline)
                elif isinstance(effect, Link):
                    answer = True
                elif isinstance(effect, Halt | HandOver):
                    raise Ended(effect.why if isinstance(effect, Halt) else "")
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            program.close()
            self._close()

    def _send(self, frame: bytes | bytearray) -> None:
        """A datagram of the program's, from a socket of ours: a new one for each request."""
        size = int.from_bytes(frame[38:40]) - 8
        payload, port = bytes(frame[42 : 42 + size]), int.from_bytes(frame[36:38])
        source = int.from_bytes(frame[34:36])
        if self._socket is None or source != self._port:
            self._close()
            self._port = source
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if payload[:2] == b"\0\1":
            self._path = payload[2:].split(b"\0")[0].decode("utf-8", "backslashreplace")
        with suppress(OSError):  # unreachable: nobody answers then
            self._socket.sendto(payload, (self.server, port))

    def _stream(self, transfer: Transfer) -> None:
        start, heard = time.time(), time.monotonic()
        begin, used = heard, False
        made = self._socket
        while not transfer.done:
            now = time.monotonic()
            if now >= self.deadline or now - heard >= self.silence:
                break
            wait = max(
                0.001, min(transfer.deadline - self.pi.clock(), self.silence - (now - heard), self.deadline - now)
            )
            frame = self._receive(made, wait)
            if frame is not None:
                heard, used = time.monotonic(), True
                reply = transfer.on_frame(frame)
            elif self.pi.clock() >= transfer.deadline:
                reply = transfer.on_timer(self.pi.clock())
            else:
                continue
            if reply is not None:
                self._send(reply)
        seconds = time.monotonic() - begin
        self._record(transfer, start, seconds)
        if not transfer.done:
            if time.monotonic() >= self.deadline:
                raise Ended("the look took too long and was given up")
            raise Ended(
                f"the TFTP server fell silent in {self._path}"
                if used
                else f"nobody answered the request for {self._path}"
            )

    def _receive(self, made: socket.socket | None, wait: float) -> bytes | None:
        """The next datagram, in a frame as the board would get it."""
        if made is None:
            time.sleep(wait)
            return None
        made.settimeout(wait)
        try:
            data, (address, port) = made.recvfrom(_LARGEST)
        except OSError:
            return None
        stack = self.pi.machine.stack
        macs, addresses = (self.pi.machine.server_mac, stack.mac), (socket.inet_aton(address), stack.ip)
        return udp_frame(macs, addresses, (port, self._port), data, ttl=64, ident=0, checksum=False)

    def _record(self, transfer: Transfer, start: float, seconds: float) -> None:
        code, text = transfer.error
        result = _RESULTS.get(transfer.outcome, "client error")
        if transfer.outcome == "error":
            result = "not found" if code == 1 else "refused"
        elif not transfer.done:
            result = "incomplete" if transfer.data else "timeout"
        got = Got(
            path=self._path,
            result=result,
            kind="probe" if transfer.outcome == "probed" else "get",
            size=max(transfer.size, 0) if transfer.outcome == "probed" else len(transfer.data),
            start=start,
            seconds=round(seconds, 4),
            sha256=hashlib.sha256(transfer.data).hexdigest() if transfer.outcome == "complete" else None,
            oack=transfer.oack,
            error=(code, text.decode("utf-8", "backslashreplace")),
        )
        self.got.append(got)
        self.on_got(got)

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
