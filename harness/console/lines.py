# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes with times -> lines with times, without I/O.

A line's number is the 1-based number of the physical line in console.log as `sed -n Np` counts it (LF ends a line). Kernel
records that share a physical line, texts parted by a lone CR (progress, redrawn prompts) and pieces of an overlong line are
delivered one by one under that same number. A line's time is the stamp of the chunk that its first octet came in.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.console.text import clean, pieces

#: Texts that a program prints without a line end and then waits. Ends are what is tested first: cheap.
PROMPT = re.compile(
    r"(?:.{0,80}(?<!Last )login: ?"
    r"|.{0,40}[Pp]assword(?: for .{1,40})?: ?"
    r"|.{0,100}[#$] "
    r"|\(initramfs\) ?"
    r"|(?:U-Boot|Shell|grub|iPXE|UEFI)> ?"
    r"|=> "
    r"|.{0,60}for maintenance[: (].{0,60}[:)] ?"
    r"|Hit any key to stop autoboot: .{0,12})$"
)
_PROMPT_ENDS = (": ", ":", "# ", "$ ", "> ", ">", ") ", ")")

#: Octets of one line; longer ones come in pieces.
MAX_LINE = 4096

_BREAK = re.compile(rb"[\r\n]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text. offset: of its first octet in the log; partial: a prompt, its line is not complete yet;
    cut: a piece of a line that is longer than the bound, more of it follows.
    """

    number: int
    t: float
    text: str
    offset: int
    partial: bool = False
    cut: bool = False


class LineSplitter:
    """Feed it chunks as they come; it gives lines as soon as they are complete, and prompts as soon as they stand there."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self.max_line = max_line
        self.number = 1
        self.offset = 0
        self._pending = bytearray()
        self._start = 0
        self._line_start = 0
        self._stamps: list[tuple[int, float]] = []
        self._prompted = -1

    def feed(self, t: float, data: bytes) -> list[Line]:
        """Lines that `data`, read at `t`, completes."""
        if not data:
            return []
        self._stamps.append((self.offset, t))
        lines: list[Line] = []
        position = 0
        for match in _BREAK.finditer(data):
            lines += self._take(data[position : match.start()])
            lines += self._emit()
            position = match.end()
            self._start = self.offset + position
            if match.group() == b"\n":
                self.number += 1
                self._line_start = self._start
        lines += self._take(data[position:])
        self.offset += len(data)
        lines += self._prompt()
        self._forget()
        return lines

    def flush(self) -> list[Line]:
        """What stands there without a line end: at the end of the log, or when the console was lost."""
        lines = list(self._emit())
        self._start = self.offset
        return lines

    @property
    def lines(self) -> int:
        """Physical lines so far, the unfinished one included."""
        return self.number if self.offset > self._line_start else self.number - 1

    def _take(self, data: bytes) -> Iterator[Line]:
        self._pending += data
        while len(self._pending) > self.max_line:
            head = bytes(self._pending[: self.max_line])
            yield from self._lines(head, cut=True)
            del self._pending[: self.max_line]
            self._start += self.max_line

    def _emit(self) -> Iterator[Line]:
        if self._pending:
            raw = bytes(self._pending)
            self._pending.clear()
            yield from self._lines(raw)

    def _lines(self, raw: bytes, *, cut: bool = False) -> Iterator[Line]:
        for at, piece in pieces(raw):
            text = clean(piece)
            if text.strip():
                offset = self._start + at
                yield Line(self.number, self._stamp(offset), text, offset, cut=cut)

    def _prompt(self) -> Iterator[Line]:
        if not self._pending or len(self._pending) > 512:
            return
        if self._pending[-1] not in b" :>)" and 0x1B not in self._pending:
            return
        at, piece = pieces(bytes(self._pending))[-1]
        offset = self._start + at
        if offset == self._prompted:
            return
        text = clean(piece)
        if text.endswith(_PROMPT_ENDS) and PROMPT.match(text):
            self._prompted = offset
            yield Line(self.number, self._stamp(offset), text, offset, partial=True)

    def _stamp(self, offset: int) -> float:
        for start, t in reversed(self._stamps):
            if start <= offset:
                return t
        return self._stamps[0][1] if self._stamps else 0.0

    def _forget(self) -> None:
        # Only the stamps that the unfinished line still needs: the chunk that holds its first octet, and later ones.
        while len(self._stamps) > 1 and self._stamps[1][0] <= self._start:
            del self._stamps[0]
