# SPDX-License-Identifier: GPL-2.0-or-later
"""UART text: the shapes in which bootloader and firmware put their lines on the serial port.

Shapes by date: strings of released EEPROM images; cmprovision#43, EE#687 (stamps inside option lines), FW#1420 (MESS).
"""

from collections.abc import Callable

from harness.emulator.effects import Print
from harness.emulator.releases import Release

_CRLF = b"\r\n"


class Uart:
    """seconds: gives the time since power-on as the board's own clock counts it. Silent when not enabled."""

    def __init__(self, release: Release, seconds: Callable[[], float], *, enabled: bool) -> None:
        self._release = release
        self._seconds = seconds
        self.enabled = enabled
        #: uart_2ndstage=1 in config.txt: start4.elf prints its log.
        self.second_stage = False

    def line(self, text: str | bytes) -> Print:
        """A line of the bootloader, if its release has it; since 2024-05-17 it begins with the seconds since power-on."""
        if not self._release.prints(text if isinstance(text, str) else text[:40].decode("ascii", "replace")):
            return Print(b"")
        return self._print(self._stamp() + _raw(text) + _CRLF)

    def option(self, text: str | bytes, *, plain: bool = False) -> Print:
        """A line of the option list: tab-indented; the stamp, if any, comes after a text value (EE#687)."""
        stamp = b"" if plain else b" " + self._stamp().strip()
        return self._print(b"\t" + _raw(text) + (stamp if self._release.stamped else b"") + _CRLF)

    def bare(self, text: str | bytes) -> Print:
        """A line that never has a stamp."""
        return self._print(_raw(text) + _CRLF)

    def firmware(self, text: str | bytes) -> Print:
        """A line of start4.elf: MESS:hours:minutes:seconds.microseconds:core:."""
        seconds = self._seconds()
        minutes, rest = divmod(seconds, 60)
        hours, minutes = divmod(int(minutes), 60)
        stamp = f"MESS:{hours % 100:02d}:{minutes:02d}:{rest:09.6f}:0: ".encode()
        return Print(stamp + _raw(text) + _CRLF if self.second_stage else b"")

    def _stamp(self) -> bytes:
        if not self._release.stamped:
            return b""
        seconds = self._seconds()
        # What exactly was wrong before 2025-05-08 is not known; a fraction of another unit jumps back as theirs did.
        hundredths = round(seconds * 100)
        part = int(seconds * 1e6) >> 14 if self._release.skewed else hundredths
        return f"{hundredths // 100:3d}.{part % 100:02d} ".encode()

    def _print(self, data: bytes) -> Print:
        return Print(data if self.enabled else b"")


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")
