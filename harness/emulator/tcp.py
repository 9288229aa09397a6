# SPDX-License-Identifier: GPL-2.0-or-later
"""One TCP connection that sends a request and takes an answer: as much of RFC 9293 as a boot loader needs.

In order only, a small window, every segment acknowledged at once; what comes out of order is asked for again. Takes
frames and gives frames, as a TFTP transfer does; no bytes raise.
"""

import struct
from dataclasses import dataclass

from harness.emulator.http_message import Response
from harness.emulator.packets import fold, ones_sum, pad
from harness.emulator.stack import Stack
from harness.emulator.tftp_message import Server

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MSS = 1460
_WINDOW = 16 * MSS
_MODULUS = 1 << 32
_TICK = 1.0
#: Ticks: for the connection, without any progress, and after a whole answer for the server's end.
_CONNECT, _IDLE, _LINGER = 10, 30, 2
_IP = struct.Struct(">BBHHHBBH4s4s")
_TCP = struct.Struct(">HHIIBBHHH")


@dataclass(frozen=True, slots=True)
class Segment:
    """A received TCP segment whose checksums are right."""

    src: bytes
    dst: bytes
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    payload: bytes


def read_segment(frame: bytes) -> Segment | None:
    """The TCP segment in a frame; None when there is no whole, right one."""
    if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[14] >> 4 != 4 or frame[23] != 6:
        return None
    header = (frame[14] & 0xF) * 4
    total, fragment = struct.unpack_from(">H2xH", frame, 16)
    start, end = 14 + header, 14 + total
    if header < 20 or total < header + 20 or len(frame) < end or fragment & 0x3FFF:
        return None
    sport, dport, seq, ack, offset, flags, _window, _sum, _urgent = _TCP.unpack_from(frame, start)
    data = start + (offset >> 4) * 4
    if data < start + 20 or data > end or ones_sum(frame[14:start]) != 0xFFFF:
        return None
    pseudo = ones_sum(frame[26:34]) + 6 + end - start
    if (pseudo + ones_sum(frame[start:end])) % 0xFFFF:
        return None
    return Segment(frame[26:30], frame[30:34], sport, dport, seq, ack, flags, frame[data:end])


class Exchange:
    """outcome: "" while it runs, then "complete", "refused", "reset", "timeout" or "bad" (see the response's fault).

    port: (ours, the server's). sequence: the first number, random. `pause`: done, for the moment, when the body has
    that many bytes; go on by setting another.
    """

    def __init__(
        self,
        stack: Stack,
        server: Server,
        port: tuple[int, int],
        request: bytes,
        response: Response,
        *,
        now: float,
        sequence: int,
    ) -> None:
        self.response = response
        self.outcome = ""
        self.pause = 1 << 62
        self.deadline = now + _TICK
        self._stack = stack
        self._server = server
        self._port = port
        self._request = request[:MSS]
        self._first = sequence % _MODULUS
        self._open = False
        self._heard = False  # the request has been acknowledged
        self._expected = 0
        self._taken = 0
        self._seen = 0
        self._still = 0  # ticks without progress
        self._resend_in = 1
        self._wait = 1

    @property
    def done(self) -> bool:
        return bool(self.outcome) or len(self.response.body) >= self.pause

    def start(self) -> bytes:
        """The frame with the SYN, which tells the size of segments."""
        return self._frame(self._first, 0, SYN, options=struct.pack(">BBH", 2, 4, MSS))

    def on_frame(self, frame: bytes) -> bytes | None:
        segment = read_segment(frame)
        if segment is None:
            return self._stack.digest(frame)[1]
        ours = (segment.src, segment.dst) == (self._server.ip, self._stack.ip)
        if not ours or (segment.dport, segment.sport) != self._port or self.outcome:
            return None
        return self._established(segment) if self._open else self._connecting(segment)

    def on_timer(self, now: float) -> bytes | None:
        self.deadline = now + _TICK
        if self._taken != self._seen:
            self._seen, self._still = self._taken, 0
            return None
        self._still += 1
        if self.response.over and self._still >= _LINGER:
            return self._end_by_reset()
        if self._still >= (_IDLE if self._open else _CONNECT):
            self.outcome = "timeout"
            return self._answer(RST | ACK) if self._open else None
        self._resend_in -= 1
        if self._resend_in > 0 or self._heard:
            return None
        self._wait *= 2
        self._resend_in = self._wait
        return self._ask() if self._open else self.start()

    def _connecting(self, segment: Segment) -> bytes | None:
        if not segment.flags & ACK or segment.ack != (self._first + 1) % _MODULUS:
            return None
        if segment.flags & RST:
            self.outcome = "refused"
            return None
        if not segment.flags & SYN:
            return None
        self._open = True
        self._expected = (segment.seq + 1) % _MODULUS
        self._still, self._wait, self._resend_in = 0, 1, 1
        return self._ask()

    def _established(self, segment: Segment) -> bytes | None:
        if segment.flags & RST:
            if segment.seq == self._expected:
                self.outcome = "complete" if self.response.complete else "reset"
            return None
        if segment.flags & SYN:
            return None if self._heard else self._ask()  # our answer to its SYN was lost
        if not segment.flags & ACK:
            return None
        if segment.ack == (self._first + 1 + len(self._request)) % _MODULUS:
            self._heard = True
        skipped = (self._expected - segment.seq) % _MODULUS
        news = segment.payload[skipped:] if skipped <= len(segment.payload) else b""
        in_order = skipped <= len(segment.payload)
        if not in_order or not (news or segment.flags & FIN):
            return self._answer(ACK) if segment.payload or segment.flags & FIN else None
        return self._take(news, final=bool(segment.flags & FIN))

    def _take(self, news: bytes, *, final: bool) -> bytes:
        self._expected = (self._expected + len(news) + final) % _MODULUS
        self._taken += len(news) + final
        self._heard = True  # it answers what it must have heard
        if not self.response.over:
            self.response.feed(news)
        if final:
            self.response.end()
            self.outcome = "bad" if self.response.fault else "complete"
            return self._answer(FIN | ACK)
        if self.response.fault:
            return self._end_by_reset()
        return self._answer(ACK)

    def _end_by_reset(self) -> bytes:
        self.outcome = "bad" if self.response.fault else "complete"
        return self._answer(RST | ACK)

    def _ask(self) -> bytes:
        return self._frame(self._first + 1, self._expected, PSH | ACK, payload=self._request)

    def _answer(self, flags: int) -> bytes:
        return self._frame(self._first + 1 + len(self._request), self._expected, flags)

    def _frame(self, seq: int, ack: int, flags: int, *, options: bytes = b"", payload: bytes = b"") -> bytes:
        stack, server = self._stack, self._server
        size = 20 + len(options)
        tcp = _TCP.pack(*self._port, seq % _MODULUS, ack, size // 4 << 4, flags, _WINDOW, 0, 0) + options + payload
        value = fold(ones_sum(stack.ip + server.ip) + 6 + len(tcp) + ones_sum(tcp))
        tcp = tcp[:16] + value.to_bytes(2, "big") + tcp[18:]
        head = (0x45, 0, 20 + len(tcp), stack.next_ident(), 0x4000, stack.transport.ttl, 6)
        value = fold(ones_sum(_IP.pack(*head, 0, stack.ip, server.ip)))
        return pad(server.mac + stack.mac + b"\x08\x00" + _IP.pack(*head, value, stack.ip, server.ip) + tcp)
