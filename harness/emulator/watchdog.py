# SPDX-License-Identifier: GPL-2.0-or-later
"""BOOT_WATCHDOG_TIMEOUT: the board is reset when no operating system has started in time (release notes 2025-06-20).

The timer is hardware that counts real seconds; a board that stands still with an error is reset by it as well.
"""

from typing import Any

from harness.emulator.effects import Effect, Halt, Link, Receiver, Recv, Sleep, Steps, Stream, T
from harness.emulator.machine import Machine


class _Guarded:
    """A receiver that is done when the watchdog's time has come, whatever it still waits for."""

    def __init__(self, receiver: Receiver, deadline: float) -> None:
        self._inner = receiver
        self._last = deadline
        self._over = False
        self.on_frame = receiver.on_frame

    @property
    def done(self) -> bool:
        return self._over or self._inner.done

    @property
    def deadline(self) -> float:
        return min(self._inner.deadline, self._last)

    def on_timer(self, now: float) -> bytes | bytearray | None:
        if now >= self._last:
            self._over = True
            return None
        return self._inner.on_timer(now)


def guard(m: Machine, steps: Steps[T]) -> Steps[T | None]:
    """Runs a part of the bootloader; None when the watchdog has cut it short."""
    seconds = m.eeprom.boot_watchdog_timeout if m.release.watchdog else 0
    if not seconds:
        return (yield from steps)
    last = m.clock() + seconds
    answer: Any = None
    try:
        while True:
            try:
                effect = steps.send(answer)
            except StopIteration as end:
                found: T = end.value
                return found
            answer = yield _bounded(effect, last)
            if m.clock() >= last:
                return None
    finally:
        steps.close()


def _bounded(effect: Effect, last: float) -> Effect:
    """The same effect, to end at the watchdog's time at the latest."""
    bounded = effect
    if isinstance(effect, Recv):
        bounded = Recv(min(effect.deadline, last))
    elif isinstance(effect, Sleep):
        bounded = Sleep(min(effect.until, last))
    elif isinstance(effect, Halt):
        bounded = Sleep(last)
    elif isinstance(effect, Link) and effect.up:
        bounded = Link(up=True, deadline=min(effect.deadline, last))
    elif isinstance(effect, Stream):
        bounded = Stream(_Guarded(effect.receiver, last))
    return bounded
