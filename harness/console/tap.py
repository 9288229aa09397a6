# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies of a console's octets for whoever else wants them: a login dialogue, a person."""

import contextlib
import queue
from collections.abc import Iterable

from harness.console.text import PRINTK, clean

#: Octets of the end that are kept for those who come later.
_TAIL = 64 * 1024


class Tap:
    """A copy of the octets from now on (and the unfinished line that stood there). Bounded: a reader that sleeps loses the
    oldest octets, not memory.
    """

    def __init__(self, first: bytes, chunks: int = 20_000) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(chunks)
        self.lost = 0
        if first:
            self.put(first)

    def put(self, data: bytes | None) -> None:
        while True:
            try:
                self._queue.put_nowait(data)
            except queue.Full:
                with contextlib.suppress(queue.Empty):
                    self.lost += len(self._queue.get_nowait() or b"")
            else:
                return

    def get(self, timeout: float) -> bytes | None:
        """Octets, b"" when none came in `timeout` seconds, None when the console was closed."""
        try:
            return self._queue.get(timeout=max(0.0, timeout)) if timeout > 0 else self._queue.get_nowait()
        except queue.Empty:
            return b""


def unfinished(tail: bytes) -> bytes:
    """The end of `tail` that a program still waits behind: its last line, and if only kernel records stand there, what they
    were printed behind ("rpi login: [   40.1] random: crng init done").
    """
    end = tail.rfind(b"\n") + 1
    if tail[end:].strip():
        return tail[end:][-512:]
    for _ in range(16):
        begin = tail.rfind(b"\n", 0, max(0, end - 1)) + 1
        record = PRINTK.search(tail, begin, end)
        if record is None:
            break
        if record.start() > begin:
            return tail[begin:]
        end = begin
    return b""


class Copies:
    """The end of what came, and who has a copy of what comes. Not for several threads: the console's lock is around it."""

    def __init__(self) -> None:
        self._tail = bytearray()
        self._taps: list[Tap] = []

    def put(self, chunks: Iterable[bytes]) -> None:
        for data in chunks:
            self._tail += data
            for tap in self._taps:
                tap.put(data)
        if len(self._tail) > 2 * _TAIL:
            del self._tail[:-_TAIL]

    def over(self) -> None:
        """Nothing comes any more."""
        for tap in self._taps:
            tap.put(None)

    def tap(self) -> Tap:
        tap = Tap(unfinished(bytes(self._tail[-8192:])))
        self._taps.append(tap)
        return tap

    def untap(self, tap: Tap) -> None:
        with contextlib.suppress(ValueError):
            self._taps.remove(tap)

    def tail(self, characters: int) -> str:
        raw = bytes(self._tail[-4 * characters :])
        return "\n".join(clean(line).rstrip() for line in raw.split(b"\n"))[-characters:]
