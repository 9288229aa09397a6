# SPDX-License-Identifier: GPL-2.0-or-later
"""A TFTP download as boot code does it: one file, one port, one block at a time. Takes frames, gives frames.

The hot path (a full DATA block in sequence) compares the frame's parts and patches a ready ACK; everything else goes
through the full parser. RRQ resend every 2 s: EE#74; re-ACK of a repeated DATA block:
rpi-eeprom release notes 2021-02-16; fall-back to 512 bytes without OACK: bootloader of 2026 in a public log.
"""

import math
import struct

from harness.emulator.packets import ones_sum, udp_frame
from harness.emulator.stack import Stack
from harness.emulator.tftp_message import (
    ACK,
    BAD_OACK,
    DATA,
    EARLY_TERMINATE,
    ERROR,
    OACK,
    TFTP_PORT,
    TOO_LARGE,
    Limits,
    Server,
    agreed,
    error_of,
    request,
)

RESEND = 2.0
_NEVER = -1
_number = int.from_bytes
#: Of a frame: up to the IP length, IP identification, fragment to protocol, IP checksum, addresses to UDP length, UDP checksum,
#: opcode and block number.
_parts = struct.Struct(">18sH4sH14sHI").unpack_from
_HEADERS = 46
_DATA = DATA << 16
_put_block = struct.Struct(">H").pack_into
_put_udp = struct.Struct(">HHH").pack_into
_put_ip = struct.Struct(">HHHH").pack_into


class Transfer:
    """outcome: "" while it runs, then "complete", "probed", "error", "timeout", "oack" (refused) or "large".

    data: the file; size: as announced by tsize, -1 when not; error: (code, text) of the server's ERROR; oack: whether
    options were acknowledged; resends: how often something had to be sent again; repeats: repeated DATA blocks.
    """

    def __init__(
        self,
        stack: Stack,
        server: Server,
        port: int,
        path: str,
        *,
        now: float,
        blksize: int,
        probe: bool = False,
        plain: bool = False,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self.done = False
        self.outcome = ""
        self.data = bytearray()
        self.size = -1
        self.error: tuple[int, bytes] = (0, b"")
        self.oack = False
        self.resends = 0
        self.repeats = 0
        self.deadline = now + RESEND
        self._stack = stack
        self._server = server
        self._port = port
        self._peer_port = 0
        self._rrq = request(path.encode("utf-8", "replace"), blksize, plain=plain)
        self._asked = blksize or 512
        self._blksize = 512
        self._probe = probe
        self._limits = limits
        self._file_deadline = now + limits.file_timeout
        self._progress_at = now
        self._seen = 0
        self._blocks = 0  # accepted DATA blocks
        # Opcode and block number of the next DATA, as one number; and what the frames of all full blocks share: see _parts.
        self._expected = _NEVER
        self._head = self._middle = self._flow = b""
        self._whole = -1  # no frame is as short
        self._careful_from = 0
        # What is missing to zero, modulo 0xffff, in the sums of the IP header and of UDP.
        self._ip_rest = self._udp_rest = 0
        self._cut = self._quarter = self._quarter_mask = self._eighth = self._eighth_mask = 0
        self._hot = 0
        self._verifies = stack.transport.verifies
        self._step = stack.transport.step
        self._checksum = stack.transport.udp_checksum
        self._plain = not self._step and not self._checksum
        self._ack = bytearray()
        self._ack_life = 0  # its TTL and protocol
        self._ack_ip_sum = 0
        self._ack_udp_sum = 0

    def start(self) -> bytes:
        """The frame with the RRQ."""
        return self._stack.udp(self._server.mac, self._server.ip, (self._port, TFTP_PORT), self._rrq)

    def on_frame(self, frame: bytes) -> bytes | bytearray | None:
        if len(frame) != self._whole:
            return self._slowly(frame)
        head, ident, middle, ip_sum, flow, udp_sum, block = _parts(frame)
        if (
            block != self._expected
            or flow != self._flow
            or head != self._head
            or middle != self._middle
            or (ident + ip_sum + self._ip_rest) % 0xFFFF
        ):
            return self._slowly(frame)
        if self._verifies:
            # The data as numbers: see ones_sum. Halves are added, then folded to a quarter and to an eighth as long, with the
            # same remainder: 2^16 is 1 modulo 0xffff. The division is what costs.
            cut = self._cut
            value = _number(frame[_HEADERS:cut], "big") + _number(frame[cut:], "big")
            value = (value >> self._quarter) + (value & self._quarter_mask)
            value = (value >> self._eighth) + (value & self._eighth_mask)
            if (value + udp_sum + block + self._udp_rest) % 0xFFFF:
                return self._slowly(frame)
        self.data += frame[_HEADERS:]
        self._blocks = blocks = self._blocks + 1
        self._hot += 1
        if blocks >= self._careful_from:
            return self._after(blocks)
        self._expected = _DATA | (blocks + 1 & 0xFFFF)
        if self._plain:
            _put_block(self._ack, 44, blocks & 0xFFFF)
            return self._ack
        return self._acknowledge(blocks & 0xFFFF)

    def on_timer(self, now: float) -> bytes | bytearray | None:
        if self.hangs:
            return None
        activity = self._blocks + bool(self._peer_port)
        if activity != self._seen:
            self._seen, self._progress_at = activity, now
            if now < self._file_deadline:
                self._set_deadline(now)
                return None
        if now >= min(self._file_deadline, self._progress_at + self._limits.idle_timeout):
            self._finish("timeout")
            return None
        self.resends += 1
        self._set_deadline(now)
        return self._acknowledge(self._blocks & 0xFFFF) if self._peer_port else self.start()

    def _set_deadline(self, now: float) -> None:
        self.deadline = min(now + RESEND, self._file_deadline, self._progress_at + self._limits.idle_timeout)

    def _learn(self, frame: bytes) -> None:
        """From a full block that came the slow way, so its sums are right: what the other full blocks look like."""
        length = _HEADERS + self._blksize
        if length & 1 or frame[14] != 0x45 or len(frame) != length or frame[40:42] == b"\0\0":
            return
        self._head, ident, self._middle, ip_sum, self._flow, _udp_sum, _block = _parts(frame)
        self._whole = length
        self._ip_rest = 2 * 0xFFFF - ident - ip_sum
        self._udp_rest = 17 + length - 34 + ones_sum(self._flow)
        words = self._blksize // 2
        self._cut = _HEADERS + words // 2 * 2
        self._quarter, self._eighth = (words + 3) // 4 * 16, (words + 7) // 8 * 16
        self._quarter_mask, self._eighth_mask = (1 << self._quarter) - 1, (1 << self._eighth) - 1
        limits = (self._limits.block_limit or 1 << 62, self._limits.largest // self._blksize)
        self._careful_from = min(limits)

    def _accept(self, block: bytes) -> bytes | bytearray | None:
        self.data += block
        self._blocks += 1
        if len(block) < self._blksize:
            self._finish("complete")
            return self._acknowledge(self._blocks & 0xFFFF)
        return self._after(self._blocks)

    def _after(self, blocks: int) -> bytes | bytearray | None:
        """A full block has been taken, and the limits may have been reached."""
        if len(self.data) > self._limits.largest:
            reply = self._to_peer(TOO_LARGE)
            self._finish("large")
            return reply
        if self._limits.block_limit and blocks >= self._limits.block_limit:
            self._expected = _NEVER  # the counter ends here: what comes next is taken for something else (EE#720)
        else:
            self._expected = _DATA | (blocks + 1 & 0xFFFF)
        return self._acknowledge(blocks & 0xFFFF)

    def _acknowledge(self, block: int) -> bytearray:
        """The ready-made ACK with this block number, this packet's IP identification and the checksums to them."""
        ack = self._ack
        if self._step:
            stack = self._stack
            ident = stack.ident
            stack.ident = ident + self._step & 0xFFFF
            _put_ip(ack, 18, ident, 0, self._ack_life, 0xFFFF - ((self._ack_ip_sum + ident) % 0xFFFF or 0xFFFF))
        if self._checksum:
            udp_sum = 0xFFFF - ((self._ack_udp_sum + block) % 0xFFFF or 0xFFFF) or 0xFFFF
            _put_udp(ack, 40, udp_sum, ACK, block)
        else:
            _put_block(ack, 44, block)
        return ack

    def _slowly(self, frame: bytes) -> bytes | bytearray | None:
        datagram, answer = self._stack.digest(frame)
        if datagram is None:
            return answer
        payload = datagram.payload
        if datagram.dport != self._port or datagram.src != self._server.ip or len(payload) < 2 or self.done:
            return None
        if self._peer_port and datagram.sport != self._peer_port:
            return None
        opcode = payload[0] << 8 | payload[1]
        reply: bytes | bytearray | None = None
        if opcode == ERROR and len(payload) >= 4:
            self.error = error_of(payload)
            self._finish("error")
        elif opcode == OACK:
            reply = self._on_oack(payload, datagram.sport)
        elif opcode == DATA and len(payload) >= 4:
            reply = self._on_data(payload, datagram.sport)
            if self._whole < 0 and self._blocks == 1 and len(payload) - 4 == self._blksize:
                self._learn(frame)
        return reply

    def _on_oack(self, payload: bytes, peer: int) -> bytes | bytearray | None:
        if self._peer_port:
            # Our ACK 0 was lost: say it again. After the first block it is a late straggler.
            return self._acknowledge(0) if self.oack and not self._blocks else None
        self._meet(peer)
        size, blksize = agreed(payload)
        if not 8 <= blksize <= self._asked:
            reply = self._to_peer(BAD_OACK)
            self._finish("oack")
            return reply
        self.oack = True
        self.size = size
        self._blksize = blksize
        return self._terminate() if self._probe else self._acknowledge(0)

    def _on_data(self, payload: bytes, peer: int) -> bytes | bytearray | None:
        block = payload[2] << 8 | payload[3]
        if not self._peer_port:
            if block != 1 or len(payload) > 4 + 512:
                return None
            self._meet(peer)
            if self._probe:
                return self._terminate()
        if _number(payload[:4], "big") == self._expected and len(payload) - 4 <= self._blksize:
            return self._accept(payload[4:])
        if self._blocks and block == self._blocks & 0xFFFF:
            self.repeats += 1
            if self._limits.repeats_hang:
                self._expected, self.deadline = _NEVER, math.inf
                return self._acknowledge(block + 1 & 0xFFFF)
            return self._acknowledge(block) if self._limits.repeats_again else None
        return self._acknowledge(self._blocks + 1 & 0xFFFF) if self.hangs else None

    @property
    def hangs(self) -> bool:
        """Nothing ends it any more but the board's power."""
        return self.deadline == math.inf

    def _meet(self, peer: int) -> None:
        """The server's port is known: make the ACK and what the next block must look like."""
        stack, server = self._stack, self._server
        self._peer_port = peer
        self._expected = _DATA | 1
        transport = stack.transport
        self._ack = bytearray(
            udp_frame(
                (stack.mac, server.mac),
                (stack.ip, server.ip),
                (self._port, peer),
                b"\0\x04\0\0",
                ttl=transport.ttl,
                ident=0,
                checksum=transport.udp_checksum,
            )
        )
        self._ack_life = transport.ttl << 8 | 17
        header = self._ack[14:34]
        self._ack_ip_sum = ones_sum(bytes(header[:10] + header[12:]))
        self._ack_udp_sum = ones_sum(stack.ip + server.ip) + 17 + 12 + ones_sum(bytes(self._ack[34:40])) + ACK

    def _terminate(self) -> bytes:
        reply = self._to_peer(EARLY_TERMINATE)
        self._finish("probed")
        return reply

    def _to_peer(self, payload: bytes) -> bytes:
        return self._stack.udp(self._server.mac, self._server.ip, (self._port, self._peer_port), payload)

    def _finish(self, outcome: str) -> None:
        self.done, self.outcome = True, outcome
        counters = self._stack.counters
        counters.rx += self._hot
        counters.ipv4 += self._hot
        counters.mac += self._hot
        counters.udp += self._hot
        counters.received += self._hot
