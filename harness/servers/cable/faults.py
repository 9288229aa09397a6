# SPDX-License-Identifier: GPL-2.0-or-later
"""What a bad cable does to frames: lost, doubled, late, out of order, slow, silent. Decides; does no I/O.

The words and their meaning are those of tc-netem(8), both ways alike; what is random comes from a seed, so that a boot can be
repeated. Loss by block number is exact, since a random loss seldom hits what one wants to see hit.
"""

import random
from collections import OrderedDict
from dataclasses import dataclass

#: Octets that a frame takes on Ethernet beside its own: preamble 8, check sequence 4, gap 12 (IEEE 802.3).
_AROUND = 24
#: The shortest frame, without its check sequence.
_SHORTEST = 60
#: Seconds that a frame may wait in front of a slow cable; what comes then is lost, as in a switch (tbf's `latency 400ms`).
QUEUE = 0.4
#: TFTP transfers followed at once; a board has one.
_TRANSFERS = 64


@dataclass(frozen=True)
class Faults:
    """loss, duplicate, reorder: shares of all frames, 0 to 1. lose_data, duplicate_data: DATA blocks of each TFTP transfer,
    counted from 1; each is lost or doubled once, what the server sends again passes. delay, jitter: seconds each way; jitter:
    a delay lies within delay - jitter and delay + jitter. reorder: frames that pass those that are delayed. rate: bits per
    second, 0 for any. spanning_tree: seconds after the link came up in which the switch forwards nothing.
    """

    loss: float = 0.0
    lose_data: tuple[int, ...] = ()
    duplicate: float = 0.0
    duplicate_data: tuple[int, ...] = ()
    delay: float = 0.0
    jitter: float = 0.0
    reorder: float = 0.0
    rate: int = 0
    spanning_tree: float = 0.0
    seed: int = 1


class Cable:
    """Asked for each frame when it passes on. Times are of any clock that does not step, seconds."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        # One for what happens to a frame, and one for when it arrives, each way.
        self._random, self._jitter = (
            {way: random.Random(f"{faults.seed} {use} {way}") for way in (True, False)}  # noqa: S311 - not a secret
            for use in ("fate", "jitter")
        )
        self._free = {True: 0.0, False: 0.0}
        self._silent_until = 0.0
        self._data = DataBlocks()
        self._lost: set[tuple[int, int]] = set()
        self._doubled: set[tuple[int, int]] = set()

    def link_up(self, now: float) -> None:
        """The board's end of the cable came up."""
        self._silent_until = now + self._faults.spanning_tree

    def carry(self, frame: bytes, now: float, *, to_board: bool) -> list[float]:
        """When this frame comes out at the other end: once, several times, or never."""
        faults, dice = self._faults, self._random[to_board]
        block = self._data.number(frame, to_board=to_board)
        if now < self._silent_until:
            return []
        # Every die is thrown for every frame: what one fault does leaves the others as they were.
        lost, doubled, first = (
            dice.random() < faults.loss,
            dice.random() < faults.duplicate,
            dice.random() < faults.reorder,
        )
        if lost or _once(block, faults.lose_data, self._lost):
            return []
        again = doubled or _once(block, faults.duplicate_data, self._doubled)
        times = []
        for _ in range(2 if again else 1):
            through = self._squeezed(len(frame), now, to_board)
            if through is not None:
                jitter = self._jitter[to_board].uniform(-faults.jitter, faults.jitter)
                times.append(through + (0.0 if first else max(0.0, faults.delay + jitter)))
        return times

    def _squeezed(self, octets: int, now: float, to_board: bool) -> float | None:
        """When the last bit is through; None when too much waits already."""
        if not self._faults.rate:
            return now
        begin = max(now, self._free[to_board])
        if begin - now > QUEUE:
            return None
        self._free[to_board] = begin + (max(octets, _SHORTEST) + _AROUND) * 8 / self._faults.rate
        return self._free[to_board]


def _once(block: tuple[int, int] | None, wanted: tuple[int, ...], done: set[tuple[int, int]]) -> bool:
    if block is None or block[1] not in wanted or block in done:
        return False
    done.add(block)
    return True


class DataBlocks:
    """Which DATA block of which TFTP transfer a frame is (RFC 1350): transfers begin with an RRQ to port 69 and are known by
    the client's port (its TID) after that; a block number that wraps around counts on.
    """

    def __init__(self) -> None:
        self._transfers: OrderedDict[bytes, list[int]] = OrderedDict()  # client port -> its number, its last block
        self._count = 0

    def number(self, frame: bytes, *, to_board: bool) -> tuple[int, int] | None:
        """(which transfer, which block, both from 1); None for any other frame."""
        # IPv4 without options, UDP, not a fragment.
        if len(frame) < 46 or frame[12:15] != b"\x08\x00\x45" or frame[23] != 17 or frame[20] & 0x3F or frame[21]:
            return None
        if not to_board:
            if frame[36:38] == b"\0\x45" and frame[42:44] == b"\0\x01":
                self._begin(frame[34:36])
            return None
        transfer = self._transfers.get(frame[36:38])
        if transfer is None or frame[42:44] != b"\0\x03":
            return None
        ahead = (int.from_bytes(frame[44:46]) - transfer[1]) & 0xFFFF
        if ahead == 1:
            transfer[1] += 1
        return (transfer[0], transfer[1]) if ahead <= 1 else None

    def _begin(self, port: bytes) -> None:
        self._count += 1
        self._transfers.pop(port, None)
        self._transfers[port] = [self._count, 0]
        if len(self._transfers) > _TRANSFERS:
            self._transfers.popitem(last=False)
