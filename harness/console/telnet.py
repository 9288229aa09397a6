# SPDX-License-Identifier: GPL-2.0-or-later
"""Telnet as serial servers speak it, without I/O: RFC 854 with binary transmission (RFC 856), and the COM port of RFC 2217.

Not pyserial's rfc2217: that one loses what it had received when the server hangs up, throws away what comes while it opens,
needs a thread that hands on single octets (0.19 MB/s), moves DTR and RTS, and has no file descriptor to wait for.
"""

import struct
from typing import Final

IAC, DONT, DO, WONT, WILL, SB, BREAK, SE = 255, 254, 253, 252, 251, 250, 243, 240
BINARY, ECHO, SGA, COM_PORT = 0, 1, 3, 44

#: RFC 2217 section 3: what a client sends; a server answers with the command + 100.
SET_BAUDRATE, SET_DATASIZE, SET_PARITY, SET_STOPSIZE, SET_CONTROL = 1, 2, 3, 4, 5
SET_LINESTATE_MASK, SET_MODEMSTATE_MASK = 10, 11
NO_FLOW_CONTROL, BREAK_ON, BREAK_OFF = 1, 5, 6
_ANSWER: Final = 100

#: Octets of a subnegotiation; one that is longer is not of RFC 2217, its rest is passed over.
_LONGEST = 256


class Telnet:
    """The client's end. com_port: RFC 2217 is wanted, else plain telnet.

    com_port: None while the server has not said whether it speaks RFC 2217, then what it said; baud: the rate that it
    confirmed last, baud_answers: how often it did.
    """

    def __init__(self, com_port: bool) -> None:
        self.com_port: bool | None = None if com_port else False
        self.baud = 0
        self.baud_answers = 0
        self._ours = {BINARY, SGA} | ({COM_PORT} if com_port else set())
        self._theirs = {BINARY, SGA, ECHO} | ({COM_PORT} if com_port else set())
        self._active: set[tuple[int, int]] = set()
        self._asked: set[tuple[int, int]] = set()
        self._pending = b""

    @property
    def settled(self) -> bool:
        """Whether the server has said what it thinks of binary transmission."""
        return not {(WILL, BINARY), (DO, BINARY)} & self._asked

    def start(self) -> bytes:
        """What a client says first."""
        wanted = [(WILL, COM_PORT)] if self.com_port is None else []
        wanted += [(WILL, BINARY), (DO, BINARY), (WILL, SGA), (DO, SGA)]
        self._asked.update(wanted)
        return b"".join(bytes((IAC, *one)) for one in wanted)

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """(octets of the line, what is to be sent back). A command that is not whole yet waits for the rest."""
        data, self._pending = self._pending + data, b""
        if IAC not in data and (DO, BINARY) in self._active:
            return data, b""
        text, answer = bytearray(), bytearray()
        at = 0
        while at < len(data):
            size = self._one(data, at, text, answer)
            if size == 0:
                self._pending = data[at:]
                break
            at += size
        return bytes(text), bytes(answer)

    def escape(self, data: bytes) -> bytes:
        """`data` as it is sent: IAC doubled; CR is CR NUL where the server takes no binary (RFC 854)."""
        data = data.replace(b"\xff", b"\xff\xff")
        if (WILL, BINARY) not in self._active:
            data = data.replace(b"\r", b"\r\0")
        return data

    def set_line(self, baud: int) -> bytes:
        """`baud`, 8 data bits, no parity, 1 stop bit, no flow control, and no reports of modem and line states."""
        settings = ((SET_DATASIZE, 8), (SET_PARITY, 1), (SET_STOPSIZE, 1), (SET_CONTROL, NO_FLOW_CONTROL))
        quiet = ((SET_LINESTATE_MASK, 0), (SET_MODEMSTATE_MASK, 0))
        return b"".join(self.command(code, bytes((value,))) for code, value in quiet + settings) + self.set_baud(baud)

    def set_baud(self, baud: int) -> bytes:
        return self.command(SET_BAUDRATE, struct.pack("!I", baud))

    @staticmethod
    def command(code: int, value: bytes) -> bytes:
        return bytes((IAC, SB, COM_PORT, code)) + value.replace(b"\xff", b"\xff\xff") + bytes((IAC, SE))

    def _one(self, data: bytes, at: int, text: bytearray, answer: bytearray) -> int:
        """Deal with what begins at `at`; its length, 0 when it is not whole."""
        if data[at] != IAC:
            return self._plain(data, at, text)
        if at + 1 == len(data):
            return 0
        match data[at + 1]:
            case 255:
                text.append(IAC)
            case 250:
                return self._subnegotiation(data, at)
            case 251 | 252 | 253 | 254:
                if at + 2 == len(data):
                    return 0
                answer += self._negotiate(data[at + 1], data[at + 2])
                return 3
        return 2

    def _plain(self, data: bytes, at: int, text: bytearray) -> int:
        end = data.find(IAC, at)
        end = len(data) if end < 0 else end
        piece = data[at:end]
        if (DO, BINARY) not in self._active:
            if piece.endswith(b"\r") and end == len(data) and len(piece) > 1:
                piece = piece[:-1]  # the NUL may be yet to come
            elif piece == b"\r" and end == len(data):
                return 0
            text += piece.replace(b"\r\0", b"\r")
        else:
            text += piece
        return len(piece)

    def _subnegotiation(self, data: bytes, at: int) -> int:
        body = bytearray()
        here = at + 2
        while here + 1 < len(data):
            if data[here] == IAC:
                if data[here + 1] == SE:
                    self._com_port_answer(bytes(body))
                    return here + 2 - at
                here += 1
            if len(body) < _LONGEST:
                body.append(data[here])
            here += 1
        return 0 if len(data) - at < 4 * _LONGEST else len(data) - at

    def _com_port_answer(self, body: bytes) -> None:
        if len(body) >= 6 and body[:2] == bytes((COM_PORT, SET_BAUDRATE + _ANSWER)):
            (self.baud,) = struct.unpack("!I", body[2:6])
            self.baud_answers += 1

    def _negotiate(self, verb: int, option: int) -> bytes:
        """RFC 1143, less its queue: an answer only to what changes something, so that two ends never answer for ever."""
        ours = verb in (DO, DONT)
        agree, refuse = (WILL, WONT) if ours else (DO, DONT)
        side = (agree, option)
        asked = side in self._asked
        self._asked.discard(side)
        if option == COM_PORT and asked:
            self.com_port = verb in (DO, WILL)
        if verb in (DONT, WONT):
            was = side in self._active
            self._active.discard(side)
            return bytes((IAC, refuse, option)) if was else b""
        if option not in (self._ours if ours else self._theirs):
            return bytes((IAC, refuse, option))
        if side in self._active:
            return b""
        self._active.add(side)
        return b"" if asked else bytes((IAC, agree, option))
