# SPDX-License-Identifier: GPL-2.0-or-later
"""The next boot that happens: nothing passes until something shows that it begins, and from there everything."""

import threading
from collections import deque
from collections.abc import Callable

from harness.boot.begins import begins
from harness.boot.events import Began, Event

#: Events that are kept for the case that they are of the same instant as the one that shows it: a packet's "first frame".
_KEPT = 64


class Beginning:
    """Takes events from any thread. began: told once, before any event passes. mac: of the board."""

    def __init__(self, emit: Callable[[Event], None], mac: str, began: Callable[[Began], None]) -> None:
        self._emit, self._mac, self._told = emit, mac, began
        self._before: deque[Event] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._since: float | None = None

    @property
    def begun(self) -> bool:
        return self._since is not None

    def __call__(self, event: Event) -> None:
        with self._lock:
            if self._since is None:
                self._before.append(event)
                if not (text := begins(event, self._mac)):
                    return
                self._since = event.t
                start = Began(event.t, text)
                self._told(start)
                self._emit(start)
                for earlier in self._before:
                    self._pass(earlier)
                self._before.clear()
            else:
                self._pass(event)

    def _pass(self, event: Event) -> None:
        if self._since is not None and event.t >= self._since:
            self._emit(event)
