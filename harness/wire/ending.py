# SPDX-License-Identifier: GPL-2.0-or-later
"""How tcpdump is brought to its end without losing what the kernel's ring still holds for it.

SIGINT ends tcpdump between two packets. SIGUSR1 makes it print its counters and go on: when it has written as many packets as
the kernel has kept for it, it gets SIGINT.
"""

import signal
import time
from collections.abc import Callable

from harness.wire import tcpdump

DRAIN_TIMEOUT = 5.0
"""Seconds given to tcpdump to write what the ring holds when the capture is stopped."""

END_TIMEOUT = 5.0
"""Seconds within which tcpdump ends after SIGINT; then it is killed."""

ASK_EVERY = 0.02
"""Seconds between two questions for its counters."""


class Ending:
    """send: gives tcpdump a signal. drained: all that the kernel kept had been written before the end."""

    def __init__(self, send: Callable[[int], None]) -> None:
        self.drained = False
        self._send = send
        self._interrupted = False
        self._asked_at = self._give_up_at = 0.0  # monotonic; 0: not yet

    @property
    def begun(self) -> bool:
        return self._give_up_at > 0

    def begin(self) -> None:
        """It was asked to end, or is ending by itself."""
        self._give_up_at = self._give_up_at or time.monotonic() + DRAIN_TIMEOUT

    def step(self, talk: tcpdump.Talk, *, wanted: bool) -> bool:
        """One step towards the end: counters, SIGINT, wait; wanted: by us. False when tcpdump had its time."""
        moment = time.monotonic()
        if self._interrupted or not wanted:
            return moment < self._give_up_at
        counts = talk.counters()
        self.drained = self._asked_at > 0 and counts is not None and tcpdump.drained(counts)
        if self.drained or moment >= self._give_up_at or not talk.listening:
            self._interrupted = True
            self._give_up_at = moment + END_TIMEOUT
            self._send(signal.SIGINT)
        elif moment >= self._asked_at + ASK_EVERY:
            self._asked_at = moment
            talk.forget()
            self._send(signal.SIGUSR1)
        return True
