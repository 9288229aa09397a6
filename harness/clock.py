# SPDX-License-Identifier: GPL-2.0-or-later
"""One clock: epoch seconds with microseconds, the same real-time clock that the kernel stamps packets with."""

import time


def now() -> float:
    """Epoch seconds, rounded to the microsecond (float64 holds epoch microseconds exactly until 2255)."""
    return round(time.time_ns() / 1e9, 6)


class ClockWatch:
    """Notices when the real-time clock is stepped during a boot (NTP, a person): stamps are then not comparable.

    Compares real time with the monotonic clock; `step()` gives the seconds by which real time has moved against it
    since the start, 0.0 when within `tolerance` seconds (slewing by NTP is at most 500 ppm: 0.06 s in two minutes).
    """

    def __init__(self, tolerance: float = 0.25) -> None:
        self.tolerance = tolerance
        self._offset = time.time() - time.monotonic()

    def step(self) -> float:
        step = (time.time() - time.monotonic()) - self._offset
        return round(step, 3) if abs(step) > self.tolerance else 0.0
