# SPDX-License-Identifier: GPL-2.0-or-later
"""When what was read had come."""

from collections.abc import Sequence
from typing import Literal

import pytest

from harness.console import reader
from harness.console.link import Link
from harness.console.reader import GATHER, Reader
from harness.errors import HarnessError

from .doubles import ScriptPort


class Time:
    """A clock that only sleeping moves, and reading, by `read_takes` seconds."""

    def __init__(self) -> None:
        self.t = 1000.0

    def now(self) -> float:
        return self.t

    monotonic = now

    def sleep(self, seconds: float) -> None:
        self.t += seconds


class Slow(ScriptPort):
    """A port whose first octets take a while to come, as those of every line of a quiet board."""

    def __init__(self, chunks: Sequence[bytes], time: Time, waits: float) -> None:
        super().__init__(chunks)
        self._time, self._waits = time, waits

    def read(self, timeout: float) -> bytes:
        if timeout:
            self._time.t += self._waits
        return super().read(0.0)


class Kept:
    def __init__(self) -> None:
        self.chunks: list[tuple[float, bytes]] = []

    def take(self, batch: Sequence[tuple[float, bytes]]) -> None:
        self.chunks += batch

    def parted(self, kind: Literal["gap", "back"], reason: str) -> None:
        raise AssertionError((kind, reason))

    def failed(self, error: HarnessError) -> None:
        raise error

    def over(self) -> None:
        pass


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(reader, "time", time)
    monkeypatch.setattr(reader, "clock", time)
    return time


def test_octets_have_the_time_when_they_came_not_when_they_were_read(time: Time) -> None:
    kept = Kept()
    port = Slow([b"[ 1.0] fir", b"st\r\n[ 1.1]", b" second\r\n", b"", b"[ 2.0] third"], time, waits=0.7)
    link = Link(lambda: port, "double", 0.0)
    link.open()
    loop = Reader(link, kept)
    for _ in range(5):
        loop._read_on()
    assert [data for _, data in kept.chunks] == [b"[ 1.0] fir", b"st\r\n[ 1.1]", b" second\r\n"]
    after_idle = 1000.7
    assert [t for t, _ in kept.chunks] == pytest.approx(
        # The first octet woke the reader; the others came some time in the moment for which it then let them gather.
        [after_idle, after_idle + GATHER / 2, after_idle + GATHER + GATHER / 2],
        abs=1e-6,
    )
    loop._drain()
    assert kept.chunks[-1] == (pytest.approx(after_idle + 3 * GATHER + 0.7, abs=1e-6), b"[ 2.0] third")


def test_octets_that_do_not_end_are_dealt_with_all_the_same(time: Time) -> None:
    kept = Kept()
    link = Link(lambda: ScriptPort([b"x"] * 100), "double", 0.0)
    link.open()
    loop = Reader(link, kept)
    for _ in range(7):
        loop._read_on()
    assert len(kept.chunks) >= 5
