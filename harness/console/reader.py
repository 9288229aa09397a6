# SPDX-License-Identifier: GPL-2.0-or-later
"""The thread that reads a console's line from start to close: what came with its time, and a lost line opened again.

It is the only reader of the port, and it never ends in silence: whatever goes wrong is told.
"""

import threading
import time
from collections.abc import Sequence
from typing import Literal, Protocol

from harness import clock
from harness.console.link import Link
from harness.console.port import PortGone
from harness.errors import HarnessBug, HarnessError
from harness.urgency import hurry

#: Seconds to let octets gather after a read: bounds the reads to 40 per second at any rate, for a wake-up costs more than what is
#: done with the octets. What gathered is stamped with the middle of that time: 12.5 ms from the truth at most.
GATHER = 0.025

#: Seconds of reads that are dealt with at once while octets keep coming; when none do, at once.
_BATCH = 0.1


class Taker(Protocol):
    """Who gets what was read; called by the reading thread alone. Must not raise."""

    def take(self, batch: Sequence[tuple[float, bytes]]) -> None:
        """Octets with the epoch seconds of their reads, in order."""

    def parted(self, kind: Literal["gap", "back"], reason: str) -> None:
        """The line was lost, or is back."""

    def failed(self, error: HarnessError) -> None:
        """InfraError for a line that is away too long, once per loss; HarnessBug when the reader itself failed."""

    def over(self) -> None:
        """Nothing comes any more."""


class Reader:
    """Reads `link`, which is open, from `start` to `close`. gather: seconds to let octets gather after a read."""

    def __init__(self, link: Link, taker: Taker, gather: float = GATHER) -> None:
        self._link, self._taker, self._gather = link, taker, gather
        self._batch: list[tuple[float, bytes]] = []
        self._emptied = 0.0  # when all that had come was read, monotonic; 0: nothing is gathering since
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"console {self._link.name}", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def close(self) -> None:
        """Stop reading. What had come until now was told when this returns, unless the taker itself calls it."""
        self._stop.set()
        port = self._link.port
        if port is not None:
            port.interrupt()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10.0)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        hurry()  # a stamp is as late as this thread comes to read
        try:
            while not self._stop.is_set():
                self._read_on() if self._link.port is not None else self._reconnect()
        except Exception as error:  # a defect of ours: a thread that dies silently would cost a night's results
            what = f"the console's reader failed: {type(error).__name__}: {error}"
            self._taker.failed(HarnessBug(what, place=self._link.name))
        finally:
            try:
                self._drain()
            finally:
                if self._link.port is not None:
                    self._link.port.close()
                self._taker.over()

    def _read_on(self) -> None:
        assert self._link.port is not None  # noqa: S101 - for the type checker
        try:
            data = self._link.port.read(0.0 if self._emptied else 1.0)
        except PortGone as error:
            self._deal()
            self._lost(str(error))
            return
        if not data:
            self._emptied = 0.0
            self._deal()
            return
        t, moment = clock.now(), time.monotonic()
        if self._emptied:  # it came some time since then
            t = round(t - (moment - self._emptied) / 2, 6)
        self._batch.append((t, data))
        if not self._gather:
            self._deal()
            return
        self._emptied = moment
        if t - self._batch[0][0] >= _BATCH:
            self._deal()
        time.sleep(self._gather)  # not Event.wait: that costs as much as the whole read

    def _drain(self) -> None:
        """What had come when `close` was called belongs to this boot."""
        empty, deadline = 0, time.monotonic() + 1.0
        while self._link.port is not None and empty < 2 and time.monotonic() < deadline:  # one may be the interruption
            try:
                data = self._link.port.read(0.0)
            except PortGone:
                break
            if data:
                self._batch.append((clock.now(), data))
            else:
                empty += 1
        self._deal()

    def _deal(self) -> None:
        batch, self._batch = self._batch, []
        if batch:
            self._taker.take(batch)

    def _lost(self, reason: str) -> None:
        error = self._link.lost(reason)
        self._taker.parted("gap", reason)
        if error is not None:
            self._taker.failed(error)

    def _reconnect(self) -> None:
        how, error = self._link.retry(self._stop)
        if error is not None:
            self._taker.failed(error)
        if how:
            self._taker.parted("back", how)
