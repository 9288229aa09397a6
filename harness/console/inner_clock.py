# SPDX-License-Identifier: GPL-2.0-or-later
"""The times that a console log tells by itself: bootloader, VideoCore and kernel each count from their own start."""

import re

_FIRMWARE = re.compile(r"\s{0,3}(\d{1,4}\.\d\d)\s")
_MESS = re.compile(r".{0,12}MESS:(\d\d):(\d\d):(\d\d\.\d{6}):\d")
_KERNEL = re.compile(r".{0,100}?\[ {0,5}(\d{1,9}\.\d{6})\]")


class InnerClock:
    """Seconds since the log's start; never backwards, although stamps of bootloaders before 2025-05-08 do jump back.

    VideoCore and bootloader both count from power-on, a kernel from 0 anew: its stamps are added to the time of the last
    line before it. A stamp that falls by more than 5 s is a new start as well.
    """

    def __init__(self) -> None:
        self.t = 0.0
        self._base: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def at(self, text: str) -> float:
        """The time of the next line."""
        kind, stamp = _stamp(text)
        if kind:
            if kind not in self._base or stamp < self._last[kind] - 5.0:
                self._base[kind] = self.t
            self._last[kind] = stamp
            self.t = round(max(self.t, self._base[kind] + stamp), 6)
        return self.t


def _stamp(text: str) -> tuple[str, float]:
    if "MESS:" in text and (found := _MESS.match(text)):
        hours, minutes, seconds = found.groups()
        return "power", int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if "[" in text and (found := _KERNEL.match(text)):
        return "kernel", float(found.group(1))
    if found := _FIRMWARE.match(text):
        return "power", float(found.group(1))
    return "", 0.0
