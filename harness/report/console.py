# SPDX-License-Identifier: GPL-2.0-or-later
"""What a page shows of a console log: its head, its tail, and the lines around the marks, within a bounded number.

A line ends with LF and is numbered from 1, as in the boot record; its octets are decoded as UTF-8 with replacement
and cleaned of control sequences. One pass over the file, whatever its size; memory is bounded by the limit.
"""

import json
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from harness.report.text import clean, count

_LONGEST = 1000  # octets of a line that are shown
_CHUNK = 65_536
_LARGEST_TIMES = 32_000_000  # octets of console.times


@dataclass(frozen=True)
class Mark:
    """A line that means something. kind: "stage" (it ends a stage), "milestone", or "evidence" (of a finding)."""

    kind: str
    text: str


@dataclass(frozen=True)
class Line:
    """number: 1-based; t: epoch seconds of its first octet, if known; skipped: lines left out just before it."""

    number: int
    text: str
    t: float | None = None
    marks: tuple[Mark, ...] = ()
    skipped: int = 0


@dataclass(frozen=True)
class Excerpt:
    """lines: what is shown, in order; total: lines of the whole log; left: lines left out after the last one shown."""

    lines: tuple[Line, ...] = ()
    total: int = 0
    octets: int = 0
    numbers: frozenset[int] = field(default_factory=frozenset)
    problem: str = ""

    @property
    def whole(self) -> bool:
        return len(self.lines) == self.total


def excerpt(path: Path, marks: Mapping[int, tuple[Mark, ...]], limit: int = 2000) -> Excerpt:
    """At most `limit` lines of the log at `path`: all if they fit; else head, tail and the surroundings of `marks`.

    A log that cannot be read gives an empty excerpt with the reason in `problem`.
    """
    try:
        with path.open("rb") as log:
            kept, total, octets = _collect(log, _wanted(marks, limit), limit)
    except FileNotFoundError:
        return Excerpt(problem="There is no console log.")
    except OSError as error:
        return Excerpt(problem=f"The console log cannot be read: {error.strerror or error}")
    offsets, times = _times(path.with_suffix(".times"))
    lines, before = [], 0
    for number, (offset, raw, rest) in sorted(kept.items()):
        lines.append(
            Line(number, _shown(raw, rest), _at(offset, offsets, times), marks.get(number, ()), number - before - 1)
        )
        before = number
    return Excerpt(tuple(lines), total, octets, frozenset(kept))


def _wanted(marks: Mapping[int, tuple[Mark, ...]], limit: int) -> set[int]:
    """Line numbers to keep when not all fit: around every mark, stages first, in at most 60 % of the limit."""
    wanted: set[int] = set()
    room = limit * 6 // 10
    ranked = sorted(marks, key=lambda n: (not any(m.kind == "stage" for m in marks[n]), n))
    around = max(2, min(30, room // (2 * max(1, len(ranked)))))
    for number in ranked:
        lines = set(range(max(1, number - around), number + around // 2 + 1))
        if len(wanted | lines) <= room:
            wanted |= lines
        elif len(wanted) < room:
            wanted.add(number)
    return wanted


_Kept = dict[int, tuple[int, bytes, int]]  # number -> (offset in the file, octets shown, octets left out)


def _collect(log: BinaryIO, wanted: set[int], limit: int) -> tuple[_Kept, int, int]:
    """One pass: all lines while they fit, then only head, wanted and tail. Also: lines and octets of the log."""
    everything: _Kept | None = {}
    head_size = limit // 10
    kept: _Kept = {}
    tail: deque[tuple[int, tuple[int, bytes, int]]] = deque(maxlen=max(1, limit - len(wanted) - head_size))
    number = offset = 0
    while piece := log.readline(_CHUNK):
        number += 1
        length, shown = len(piece), piece[:_LONGEST]
        while not piece.endswith(b"\n") and (piece := log.readline(_CHUNK)):
            length += len(piece)
        entry = (offset, shown, length - len(shown))
        offset += length
        if everything is not None:
            everything[number] = entry
            if number > limit:
                everything = None
        if number <= head_size or number in wanted:
            kept[number] = entry
        else:
            tail.append((number, entry))
    if everything is not None:
        return everything, number, offset
    return kept | dict(tail), number, offset


def _shown(raw: bytes, rest: int) -> str:
    text = clean(raw.decode("utf-8", "replace").rstrip("\r\n"))
    return f"{text} … ({count(rest, 'more octet')})" if rest > 2 else text


def _times(path: Path) -> tuple[list[int], list[float]]:
    """Offsets and times of console.times, in order; lines that are not `[offset, t]` are left out."""
    offsets: list[int] = []
    times: list[float] = []
    try:
        if path.stat().st_size > _LARGEST_TIMES:
            return [], []
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return [], []
    for line in text.splitlines():
        try:
            offset, t = json.loads(line)
            offset, t = int(offset), float(t)
        except (ValueError, TypeError, OverflowError, RecursionError):
            continue
        if not offsets or offset >= offsets[-1]:
            offsets.append(offset)
            times.append(t)
    return offsets, times


def _at(offset: int, offsets: list[int], times: list[float]) -> float | None:
    index = bisect_right(offsets, offset) - 1
    return times[index] if index >= 0 else None
