# SPDX-License-Identifier: GPL-2.0-or-later
"""A TFTP download as boot code does it: one file, one port, one block at a time. Takes frames, gives frames.

The hot path (a DATA block in sequence) compares three slices of the frame and patches two or four bytes of a ready
ACK; everything else goes through the full parser. RRQ resend every 2 s: EE#74; re-ACK of a repeated DATA block:
rpi-eeprom release notes 2021-02-16; fall-back to 512 bytes without OACK: bootloader of 2026 in a public log.
"""

from dataclasses import dataclass

from harness.emulator.packets import ones_sum, udp_frame, udp_sum_right
from harness.emulator.stack import Stack

TFTP_PORT = 69
RRQ, DATA, ACK, ERROR, OACK = 1, 3, 4, 5, 6
RESEND = 2.0
_EARLY_TERMINATE = b"\0\x05\0\0Early terminate\0"
_TOO_LARGE = b"\0\x05\0\x03File is too large\0"
_BAD_OACK = b"\0\x05\0\x08BAD OACK\0"
_NEVER = b"never"  # five octets: no slice of four equals it
_NO_FRAGMENT = (b"\0\0", b"\x40\0")


@dataclass(frozen=True, slots=True)
class Server:
    """Where requests go. mac: of the server, or of the gateway towards it."""

    mac: bytes
    ip: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """file_timeout: seconds for the whole file; idle_timeout: seconds without a new block; block_limit: the last block
    number that can be told apart, 0 for none; largest: bytes.
    """

    file_timeout: float = 30.0
    idle_timeout: float = 30.0
    block_limit: int = 0
    largest: int = 256 << 20


def request(path: bytes, blksize: int) -> bytes:
    """An RRQ payload; blksize 0 asks for nothing but the size."""
    asked = b"tsize\x000\x00" + (b"blksize\x00%d\x00" % blksize if blksize else b"")
    return b"\0\x01" + path.split(b"\0")[0] + b"\0octet\0" + asked


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
        self._rrq = request(path.encode("utf-8", "replace"), blksize)
        self._asked = blksize or 512
        self._blksize = 512
        self._probe = probe
        self._limits = limits
        self._file_deadline = now + limits.file_timeout
        self._progress_at = now
        self._seen = 0
        self._blocks = 0  # accepted DATA blocks
        # Of a frame in sequence: IP addresses and ports (offset 26), then TFTP opcode and block (42). No frame
        # matches until the server's port is known.
        self._flow = b""
        self._expected = _NEVER
        self._ack = bytearray()
        self._ack_ip_sum = 0
        self._ack_udp_sum = 0

    def start(self) -> bytes:
        """The frame with the RRQ."""
        return self._stack.udp(self._server.mac, self._server.ip, (self._port, TFTP_PORT), self._rrq)

    def on_frame(self, frame: bytes) -> bytes | bytearray | None:
        if (
            frame[42:46] == self._expected
            and frame[26:38] == self._flow
            and frame[12:15] == b"\x08\x00\x45"
            and frame[20:22] in _NO_FRAGMENT
            and frame[23] == 17
            and frame[:6] == self._stack.mac
        ):
            end = 34 + (frame[38] << 8 | frame[39])
            if 46 <= end <= len(frame) and end - 46 <= self._blksize and self._sums_right(frame, end):
                counters = self._stack.counters
                counters.rx += 1
                counters.ipv4 += 1
                counters.mac += 1
                counters.udp += 1
                counters.received += 1
                return self._accept(memoryview(frame)[46:end])
        return self._slowly(frame)

    def on_timer(self, now: float) -> bytes | bytearray | None:
        activity = self._blocks + bool(self._flow)
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
        return self._acknowledge(self._blocks & 0xFFFF) if self._flow else self.start()

    def _set_deadline(self, now: float) -> None:
        self.deadline = min(now + RESEND, self._file_deadline, self._progress_at + self._limits.idle_timeout)

    @staticmethod
    def _sums_right(frame: bytes, end: int) -> bool:
        if int.from_bytes(frame[14:34], "big") % 0xFFFF:
            return False
        if frame[40:42] == b"\0\0":
            return True
        # Addresses, ports, length, checksum and data lie side by side: one number holds them all.
        value = int.from_bytes(frame[26:end], "big")
        if end & 1:
            value <<= 8
        if (value + 17 + end - 34) % 0xFFFF == 0:
            return True
        return udp_sum_right(frame[26:34], frame[34:end])

    def _accept(self, block: memoryview | bytes) -> bytes | bytearray | None:
        self.data += block
        self._blocks += 1
        number = self._blocks & 0xFFFF
        if len(block) < self._blksize:
            self.done, self.outcome = True, "complete"
        elif len(self.data) > self._limits.largest:
            reply = self._to_peer(_TOO_LARGE)
            self._finish("large")
            return reply
        elif self._limits.block_limit and self._blocks >= self._limits.block_limit:
            self._expected = _NEVER  # the counter ends here: what comes next is taken for something else (EE#720)
        else:
            self._expected = b"\0\x03" + ((number + 1) & 0xFFFF).to_bytes(2, "big")
        return self._acknowledge(number)

    def _acknowledge(self, block: int) -> bytearray:
        """The ready-made ACK with this block number, this packet's IP identification and the checksums to them."""
        ack, stack = self._ack, self._stack
        transport = stack.transport
        ack[44], ack[45] = block >> 8, block & 0xFF
        if transport.step:
            ident = stack.ident
            stack.ident = (ident + transport.step) & 0xFFFF
            ack[18], ack[19] = ident >> 8, ident & 0xFF
            value = 0xFFFF - ((self._ack_ip_sum + ident) % 0xFFFF or 0xFFFF)
            ack[24], ack[25] = value >> 8, value & 0xFF
        if transport.udp_checksum:
            value = 0xFFFF - ((self._ack_udp_sum + block) % 0xFFFF or 0xFFFF) or 0xFFFF
            ack[40], ack[41] = value >> 8, value & 0xFF
        return ack

    def _slowly(self, frame: bytes) -> bytes | bytearray | None:
        datagram, answer = self._stack.digest(frame)
        if datagram is None:
            return answer
        payload = datagram.payload
        if datagram.dport != self._port or datagram.src != self._server.ip or len(payload) < 2 or self.done:
            return None
        if self._flow and datagram.sport != self._peer_port:
            return None
        opcode = payload[0] << 8 | payload[1]
        reply: bytes | bytearray | None = None
        if opcode == ERROR and len(payload) >= 4:
            self.error = payload[2] << 8 | payload[3], payload[4:].split(b"\0")[0]
            self._finish("error")
        elif opcode == OACK:
            reply = self._on_oack(payload, datagram.sport)
        elif opcode == DATA and len(payload) >= 4:
            reply = self._on_data(payload, datagram.sport)
        return reply

    def _on_oack(self, payload: bytes, peer: int) -> bytes | bytearray | None:
        if self._flow:
            # Our ACK 0 was lost: say it again. After the first block it is a late straggler.
            return self._acknowledge(0) if self.oack and not self._blocks else None
        self._meet(peer)
        words = payload[2:].split(b"\0")
        options = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=False)}
        size, blksize = _decimal(options.get(b"tsize")), _decimal(options.get(b"blksize", b"512"))
        if not 8 <= blksize <= self._asked:
            reply = self._to_peer(_BAD_OACK)
            self._finish("oack")
            return reply
        self.oack = True
        self.size = size
        self._blksize = blksize
        return self._terminate() if self._probe else self._acknowledge(0)

    def _on_data(self, payload: bytes, peer: int) -> bytes | bytearray | None:
        block = payload[2] << 8 | payload[3]
        if not self._flow:
            if block != 1 or len(payload) > 4 + 512:
                return None
            self._meet(peer)
            if self._probe:
                return self._terminate()
        if payload[:4] == self._expected and len(payload) - 4 <= self._blksize:
            return self._accept(payload[4:])
        if self._blocks and block == self._blocks & 0xFFFF:
            self.repeats += 1
            return self._acknowledge(block)
        return None

    def _meet(self, peer: int) -> None:
        """The server's port is known: make the ACK and what the next block must look like."""
        stack, server = self._stack, self._server
        self._peer_port = peer
        self._flow = server.ip + stack.ip + peer.to_bytes(2, "big") + self._port.to_bytes(2, "big")
        self._expected = b"\0\x03\0\x01"
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
        header = self._ack[14:34]
        self._ack_ip_sum = ones_sum(bytes(header[:10] + header[12:]))
        self._ack_udp_sum = ones_sum(stack.ip + server.ip) + 17 + 12 + ones_sum(bytes(self._ack[34:40])) + ACK

    def _terminate(self) -> bytes:
        reply = self._to_peer(_EARLY_TERMINATE)
        self._finish("probed")
        return reply

    def _to_peer(self, payload: bytes) -> bytes:
        return self._stack.udp(self._server.mac, self._server.ip, (self._port, self._peer_port), payload)

    def _finish(self, outcome: str) -> None:
        self.done, self.outcome = True, outcome


def _decimal(text: bytes | None) -> int:
    """A decimal number of at most 18 digits, else -1."""
    return int(text) if text and text.isdigit() and len(text) <= 18 else -1
