# SPDX-License-Identifier: GPL-2.0-or-later
"""One TFTP read, followed from its request to its end (RFC 1350, options RFC 2347-2349, windows RFC 7440).

A block counts when the client has acknowledged it: only then its octets go into size and SHA-256. What comes after the
end (the last block repeated because its ACK was lost behind the capture's point) is not followed. This runs for every
DATA and ACK of a boot, so the lock-step case takes the shortest way.
"""

import hashlib
from collections.abc import Callable
from typing import Literal

from harness.boot.events import Event, TransferEnded, TransferProgress
from harness.boot.record import TftpTransfer
from harness.wire import scapy_read
from harness.wire.scapy_read import Malformed, Request
from harness.wire.text import decimal
from harness.wire.tftp_opcode import ACK, DATA, ERROR, OACK
from harness.wire.udp import Datagram

PROGRESS_EVERY = 0.25
"""Seconds of packet time between two progress events of a transfer."""

GIVE_UP = 5.0
"""A client that was silent for so many seconds when the capture ended had given up: real ones repeat after 2 s."""

_LATE = 0.9
"""A block that comes so many seconds after it was asked for was lost before, and sent again by the server's clock: a second or
more in all of them (dnsmasq 2, tftpd-hpa 1, atftpd 5)."""

_MAX_AHEAD = 64
"""Blocks kept that came before their turn; a lock-step client never has one."""

_MAX_WINDOW = 256
"""Blocks of a window that are kept until they are acknowledged; larger ones are not seen in practice (RFC 7440: 64)."""

_PROBE_TEXTS = frozenset({"early terminate", "tftp aborted"})  # the Pi's firmware; iPXE when it asks for the size

Wrong = Callable[[int, str], None]
Ended = Callable[["Transfer"], None]


class Transfer:
    """State of one read. `over` is set once; `from_server` and `from_client` take its packets until then.

    Both take the UDP payload as `data[start:start + size]` with opcode and second word (block number or error code)
    read by the caller.
    """

    def __init__(
        self,
        packet: Datagram,
        request: Request,
        asked_by: str,
        *,
        emit: Callable[[Event], None],
        ended: Ended,
        wrong: Wrong,
    ) -> None:
        self.request = request
        self.asked_by = asked_by
        self.client = packet.source
        self.client_mac = packet.src_mac
        self.client_ip, self.client_port = packet.src_ip, packet.src_port
        self.server_ip, self.server_port = packet.dst_ip, 0
        self.start = self.end = self.client_seen = packet.t
        self.first_packet = self.last_packet = packet.number
        self.engaged = False  # the client has answered the server's port
        self.over = False
        self.flows: list[bytes] = []  # keys under which the tracker finds this transfer
        self.rivals: dict[bytes, Datagram] = {}  # first answers from further server ports
        self.retransmissions = 0
        self.note = ""
        self._emit, self._ended, self._wrong = emit, ended, wrong
        self._next_progress = packet.t + PROGRESS_EVERY
        self.forget_answer()

    def forget_answer(self) -> None:
        """Back to the request: nothing has been answered."""
        self.blksize, self.oack, self._window = 512, False, 1
        self.tsize: int | None = None
        self.options: tuple[tuple[str, str], ...] = ()
        self.blocks = self.bytes = 0
        self._last = 0  # number of the last acknowledged block, 16 bits
        self._pending: dict[int, bytes] = {}
        # The block whose ACK the client owes once more, and the block that it has asked for again: -1 for none. What the other
        # side then repeats is an answer, not a second loss.
        self._owed = self._awaited = -1
        self._hash = hashlib.sha256()
        self._whole = True  # every octet so far went into the hash

    # The server's side

    def from_server(self, number: int, t: float, op: int, block: int, data: bytes, start: int, size: int) -> None:
        self.end = t
        self.last_packet = number
        if op == DATA:
            if block == (self._last + 1) & 0xFFFF and block not in self._pending:
                content = data[start + 4 : start + size]
                self._pending[block] = content
                self.retransmissions += t - self.client_seen > _LATE
                if len(content) != size - 4:
                    self._cut(number, block, content, size - 4)
            else:
                self._odd_block(number, block, data[start + 4 : start + size], size - 4)
        elif op == OACK:
            self._agree(number, data[start + 2 : start + size])
        elif op == ERROR:
            code, text = self._error(number, data[start + 2 : start + size])
            self.finish(t, "not found" if code == 1 else "refused", code, text)
        else:
            self._wrong(number, f"TFTP opcode {op} from a server")

    def _odd_block(self, number: int, block: int, content: bytes, size: int) -> None:
        """A repeated block, one before its turn, or the first after the counter's end."""
        if block == 1 and self._last == 0xFFFF and 0 not in self._pending:
            self._last = 0  # some servers go on with 1, not 0, after block 65535
        ahead = (block - self._last) & 0xFFFF
        if block in self._pending or ahead == 0 or ahead > 0x8000:
            self.retransmissions += block != self._awaited
            self._owed, self._awaited = block, -1
        elif ahead <= max(self._window, _MAX_AHEAD):
            self._pending[block] = content
            if len(content) != size:
                self._cut(number, block, content, size)
        else:
            self._wrong(number, f"block {block} of {self.request.path} when {self._last} was the last")

    def _cut(self, number: int, block: int, content: bytes, size: int) -> None:
        """The capture holds less of a block than was sent: its length counts, its content is not known."""
        if self._whole:
            self._wrong(number, f"block {block} of {self.request.path} is cut in the capture: no SHA-256")
        self._whole = False
        self._pending[block] = content.ljust(size, b"\0")

    def _agree(self, number: int, payload: bytes) -> None:
        self._owed = 0
        if self.oack or self.blocks:
            return  # repeated because the client's ACK 0 was lost
        self.oack = True
        try:
            self.options = scapy_read.oack(payload)
        except Malformed as malformed:
            self._wrong(number, str(malformed))
            return
        for name, text in self.options:
            low, high = {"blksize": (8, 65464), "tsize": (0, 1 << 63), "windowsize": (1, 65535)}.get(name, (0, -1))
            value = decimal(text, low, high)
            if value is None:
                if high > 0:
                    self._wrong(number, f"option acknowledgement with {name} {text!r}")
            elif name == "blksize":
                self.blksize = value
            elif name == "tsize":
                self.tsize = value
            else:
                self._window = min(value, _MAX_WINDOW)

    # The client's side

    def from_client(self, number: int, t: float, op: int, block: int, data: bytes, start: int, size: int) -> None:
        self.end = self.client_seen = t
        self.last_packet = number
        self.engaged = True
        if op == ACK:
            if block == (self._last + 1) & 0xFFFF and block in self._pending:
                content = self._pending.pop(block)
                self._last = block
                self.blocks += 1
                self.bytes += len(content)
                self._hash.update(content)
                if len(content) < self.blksize:
                    self._complete(t)
                elif t >= self._next_progress:
                    self._progress(t)
            elif block != self._last:
                self._acknowledge(number, t, block)
            elif block == self._owed:
                self._owed = -1
            else:  # it has waited: a block was lost before it came to where the capture is made
                self.retransmissions += 1
                self._awaited = (block + 1) & 0xFFFF
        elif op == ERROR:
            code, text = self._error(number, data[start + 2 : start + size])
            self._ended_by_client(t, code, text)
        else:
            self._wrong(number, f"TFTP opcode {op} from a client")

    def _acknowledge(self, number: int, t: float, block: int) -> None:
        """An ACK of several blocks (a window), of blocks that the capture lacks, or an old one."""
        step = (block - self._last) & 0xFFFF
        if step > 0x8000:
            return
        upto = sorted((ahead, n) for n in self._pending if (ahead := (n - self._last) & 0xFFFF) <= step)
        contents = [self._pending.pop(n) for _, n in upto]
        if len(contents) == step:
            for content in contents:
                self._hash.update(content)
        else:
            self._whole = False
            lacking = step - len(contents)
            self._wrong(number, f"ACK of block {block} of {self.request.path}: {lacking} not seen, no SHA-256")
            self.bytes += lacking * self.blksize
        self._last = block
        self.blocks += step
        self.bytes += sum(map(len, contents))
        last_seen = bool(upto) and upto[-1][0] == step
        if last_seen and len(contents[-1]) < self.blksize:
            self._complete(t)
        elif not last_seen and self.tsize is not None and self.blocks == self.tsize // self.blksize + 1:
            self.bytes = self.tsize
            self._complete(t)
        elif t >= self._next_progress:
            self._progress(t)

    def _ended_by_client(self, t: float, code: int, text: str) -> None:
        # EDK2 ends its probes with code 8 (RFC 2347), the Pi's firmware with 0 and this text.
        on_purpose = code == 8 or (code == 0 and text.lower() in _PROBE_TEXTS)
        if on_purpose and self.blocks <= 1:
            self.finish(t, "early terminate", code, text, kind="probe")
        else:
            self.finish(t, "client error", code, text)

    # Ends

    def _error(self, number: int, payload: bytes) -> tuple[int, str]:
        try:
            return scapy_read.error(payload)
        except Malformed as malformed:
            self._wrong(number, str(malformed))
            return 0, ""

    def _progress(self, t: float) -> None:
        self._next_progress = t + PROGRESS_EVERY
        self._emit(TransferProgress(t, self.request.path, self.bytes, self.tsize))

    def _complete(self, t: float) -> None:
        if self.tsize is not None and self.bytes != self.tsize and self.request.mode == "octet":
            self.note = f"the server announced {self.tsize} octets (tsize) and sent {self.bytes}"
        self.finish(t, "complete")

    def given_up(self, t: float) -> None:
        """The client has gone on to something else, or fell silent."""
        self.finish(t, "timeout")

    def cut_off(self, t: float) -> None:
        """The capture ends here: "timeout" when the client had long been silent, else "incomplete"."""
        self.finish(t, "timeout" if t - self.client_seen >= GIVE_UP else "incomplete")

    def finish(
        self, t: float, result: str, code: int | None = None, text: str = "", *, kind: Literal["get", "probe"] = "get"
    ) -> None:
        if self.over:
            return
        self.over = True
        duration = round(self.end - self.start, 6)
        complete = result == "complete"
        self._emit(
            TransferEnded(
                t,
                TftpTransfer(
                    path=self.request.path,
                    result=result,
                    kind=kind,
                    client_ip=self.client_ip,
                    server_ip=self.server_ip,
                    client_port=self.client_port,
                    server_port=self.server_port or None,
                    asked_by=self.asked_by,
                    start=self.start,
                    end=self.end,
                    duration_s=duration,
                    bytes=self.bytes,
                    tsize=self.tsize,
                    blksize=self.blksize,
                    oack=self.oack,
                    options=self.options,
                    blocks=self.blocks,
                    retransmissions=self.retransmissions,
                    throughput=round(self.bytes / duration, 1) if complete and duration > 0 else None,
                    sha256=self._hash.hexdigest() if self._whole and (self.blocks or complete) else None,
                    error_code=code,
                    error_text=text or self.note,
                    first_packet=self.first_packet,
                    last_packet=self.last_packet,
                ),
            )
        )
        self._ended(self)
