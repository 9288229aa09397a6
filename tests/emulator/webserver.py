# SPDX-License-Identifier: GPL-2.0-or-later
"""A web server over TCP for a board in the simulator, with the faults of a bad network. Reads segments with struct alone."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.emulator.netserver import SERVER_IP, SERVER_MAC

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ISN = 0xFFFFFF00  # the numbers wrap around in every transfer


def ones(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    value = sum(struct.unpack(f">{len(data) // 2}H", data))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


@dataclass
class Connection:
    """acked, sent: bytes of `answer`; isn: the board's."""

    isn: int
    window: int
    heard: bytes = b""
    answer: bytes = b""
    sent: int = 0
    acked: int = 0
    repeats: int = 0


@dataclass
class WebServer:
    """Every field is a knob. answers: path: whole HTTP answer; lose: numbers of data segments that are lost once each."""

    answers: dict[str, bytes] = field(default_factory=dict)
    port: int = 80
    ip: bytes = SERVER_IP
    mac: bytes = SERVER_MAC
    delay: float = 0.001
    lose: set[int] = field(default_factory=set)
    lose_syn: int = 0
    lose_request: int = 0
    swap: bool = False
    twice: bool = False
    refuse: bool = False
    reset_at: int = -1
    silent_at: int = -1
    fin: bool = True
    mss: int = 1460
    requests: list[bytes] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    segments: int = 0
    _open: dict[int, Connection] = field(default_factory=dict)

    def __call__(self, _now: float, frame: bytes) -> list[tuple[float, bytes]]:
        if frame[12:14] != b"\x08\x00" or frame[23] != 6 or frame[30:34] != self.ip:
            return []
        total = struct.unpack_from(">H", frame, 16)[0]
        tcp = frame[34 : 14 + total]
        assert ones(frame[14:34]) == 0xFFFF
        assert ones(frame[26:34] + struct.pack(">HH", 6, len(tcp)) + tcp) == 0xFFFF
        sport, dport, seq, ack, offset, flags, window = struct.unpack_from(">HHIIBBH", tcp)
        payload = tcp[(offset >> 4) * 4 :]
        self.flags.append(flags)
        back: Callable[[int, int, int, bytes], bytes] = lambda s, a, f, p: self.segment(frame, sport, s, a, f, p)  # noqa: E731
        if dport != self.port or self.refuse:
            return [] if flags & RST else [(self.delay, back(0, seq + 1, RST | ACK, b""))]
        if flags & SYN:
            self._open[sport] = Connection(seq, window)
            if self.lose_syn:
                self.lose_syn -= 1
                return []
            return [(self.delay, back(ISN, seq + 1, SYN | ACK, b""))]
        connection = self._open.get(sport)
        if connection is None or flags & RST:
            self._open.pop(sport, None)
            return []
        found = self._go_on(connection, seq, ack, payload)
        if self.swap and len(found) > 1:
            found[0], found[1] = found[1], found[0]
        if self.twice:
            found = [item for item in found for _ in range(2)]
        heard = connection.isn + 1 + len(connection.heard)
        return [
            (self.delay + 0.00001 * number, back(ISN + 1 + at, heard, f, p)) for number, (at, f, p) in enumerate(found)
        ]

    def _go_on(self, c: Connection, seq: int, ack: int, payload: bytes) -> list[tuple[int, int, bytes]]:
        if payload and not c.heard:
            if self.lose_request:
                self.lose_request -= 1
                return []
            assert seq == (c.isn + 1) % (1 << 32)
            c.heard = payload
            self.requests.append(payload)
            c.answer = self.answers.get(payload.split()[1].decode(), b"HTTP/1.0 404 Not Found\r\n\r\nno")
        acked = (ack - ISN - 1) % (1 << 32)
        if c.acked < acked <= len(c.answer) + 1:
            c.acked, c.repeats = acked, 0
        elif not payload:
            c.repeats += 1
        if c.repeats == 1 and c.acked < c.sent:
            c.sent = c.acked  # go back
        found = []
        while c.heard and c.sent < len(c.answer) and c.sent - c.acked + self.mss <= c.window:
            piece = c.answer[c.sent : c.sent + self.mss]
            last = c.sent + len(piece) == len(c.answer) and self.fin
            if 0 <= self.reset_at <= c.sent:
                return [*found, (c.sent, RST | ACK, b"")]
            if 0 <= self.silent_at <= c.sent:
                return found
            self.segments += 1
            if self.segments in self.lose:
                self.lose.remove(self.segments)
            else:
                found.append((c.sent, ACK | PSH | (FIN if last else 0), piece))
            c.sent += len(piece)
        return found

    def segment(self, frame: bytes, port: int, seq: int, ack: int, flags: int, payload: bytes) -> bytes:
        """A frame to the board that sent `frame`."""
        source, target = self.ip, frame[26:30]
        tcp = struct.pack(">HHIIBBHHH", self.port, port, seq % (1 << 32), ack % (1 << 32), 0x50, flags, 65535, 0, 0)
        tcp += payload
        value = 0xFFFF - ones(source + target + struct.pack(">HH", 6, len(tcp)) + tcp)
        tcp = tcp[:16] + struct.pack(">H", value) + tcp[18:]
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 7, 0, 64, 6, 0, source, target)
        head = head[:10] + struct.pack(">H", 0xFFFF - ones(head)) + head[12:]
        return (frame[6:12] + self.mac + b"\x08\x00" + head + tcp).ljust(60, b"\0")


def ok(body: bytes, *, length: bool = True) -> bytes:
    head = b"HTTP/1.0 200 OK\r\nContent-type: application/octet-stream\r\n"
    return head + (b"Content-Length: %d\r\n" % len(body) if length else b"") + b"\r\n" + body
