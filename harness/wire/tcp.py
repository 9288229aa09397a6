# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP as far as a watcher needs it: one segment, and what is known of one connection (RFC 9293)."""

from dataclasses import dataclass, field
from typing import NamedTuple

from harness.wire.fetch import Fetch

FIN, SYN, RST, ACK = 1, 2, 4, 16
MODULUS = 1 << 32


class Segment(NamedTuple):
    """size: octets of payload that were sent; `payload` may hold fewer of them."""

    number: int
    t: float
    flags: int
    sequence: int
    acknowledged: int
    payload: bytes
    size: int


@dataclass(slots=True)
class Connection:
    """base: the server's sequence number of its first octet, -1 until known; have, acked: octets of its stream that were
    seen without a gap, that the client has acknowledged; small_stack: its SYN has no timestamps, as Linux's always has;
    opened: the client has taken the server's SYN.
    """

    client: bytes
    server: bytes
    client_mac: bytes
    start: float
    first_packet: int
    last_packet: int
    end: float
    small_stack: bool = False
    answered: bool = False
    opened: bool = False
    base: int = -1
    have: int = 0
    acked: int = 0
    next_asked: int = -1  # the client's next sequence number
    request: bytearray = field(default_factory=bytearray)
    pending: dict[int, bytes] = field(default_factory=dict)
    pending_octets: int = 0
    closes_at: int = -1  # where the server's stream ends
    fetch: Fetch | None = None
    again: int = 0

    def offset(self, sequence: int) -> int:
        """Where in the server's stream a sequence number stands, near what has been seen so far."""
        ahead = (sequence - self.base - self.have) % MODULUS
        return self.have + (ahead - MODULUS if ahead >= MODULUS // 2 else ahead)


def has_timestamps(options: bytes) -> bool:
    """Whether a SYN's options hold kind 8 (RFC 7323), as every SYN of Linux does."""
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == 8:
            return True
        if kind == 0:
            return False
        if kind == 1:
            at += 1
            continue
        if at + 1 >= len(options) or options[at + 1] < 2:
            return False
        at += options[at + 1]
    return False
