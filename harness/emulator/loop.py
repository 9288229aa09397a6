# SPDX-License-Identifier: GPL-2.0-or-later
"""One thread's event loop: descriptors by epoll, timers by a heap. No processor time while nothing happens."""

import heapq
import select
import time
from collections.abc import Callable
from itertools import count

from harness.emulator.tick import Tick

EPOLLIN, EPOLLOUT = select.EPOLLIN, select.EPOLLOUT


class Timer:
    """A callback in waiting; cancel() is safe at any time, also twice."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """clock: monotonic seconds, the time of all timers. streams: what is transferring at full speed just now.

    tick: for reads that sleep, where one board has the process to itself.
    """

    def __init__(self, tick: Tick | None = None) -> None:
        self.clock = time.monotonic
        self.tick = tick
        self.streams: set[object] = set()
        self._epoll = select.epoll()
        self._watched: dict[int, Callable[[int], object]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._running = False

    def watch(self, fd: int, callback: Callable[[int], object], events: int = EPOLLIN) -> None:
        """callback(events) whenever the descriptor is ready; errors and hang-ups are always told."""
        self._watched[fd] = callback
        self._epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """To be called before the descriptor is closed."""
        if self._watched.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def at(self, when: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def stop(self) -> None:
        self._running = False

    def close(self) -> None:
        self._epoll.close()

    def run(self) -> None:
        """Until stop()."""
        self._running = True
        while self._running:
            for fd, events in self._epoll.poll(self._wait()):
                callback = self._watched.get(fd)  # an earlier callback of this round may have closed it
                if callback is not None:
                    callback(events)
            self._due()

    def _wait(self) -> float:
        """Seconds until the next timer or some of them (epoll takes no infinity), -1 for none. Cancelled timers at the head
        are dropped."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return min(max(0.0, self._timers[0][0] - self.clock()), 3600.0) if self._timers else -1

    def _due(self) -> None:
        now = self.clock()
        while self._timers and self._timers[0][0] <= now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                callback()
