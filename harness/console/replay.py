# SPDX-License-Identifier: GPL-2.0-or-later
"""A console's files read again: the same milestones, gaps and figures as when they were live."""

from pathlib import Path

from harness.boot.events import ConsoleGap, Milestone
from harness.boot.gaps import gaps_of
from harness.boot.record import ConsoleInfo, Rate
from harness.console.files import TIMES, Chunk, NewRate, read_back
from harness.console.garbage import Garbage
from harness.console.inner_clock import InnerClock
from harness.console.lines import Line, LineSplitter
from harness.console.milestones import Milestones
from harness.errors import ConfigError

Told = Milestone | ConsoleGap


def milestones_of(log: Path, times: Path | None = None) -> tuple[list[Told], ConsoleInfo]:
    """Milestones and gaps of `log` (default for `times`: the console.times beside it).

    Without a times file the log is a bare one, somebody's copy of a terminal: times are then seconds since its start as
    its own stamps tell them (see `InnerClock`), 0.0 where there are none. ConfigError: a file cannot be read.
    """
    times = times if times is not None else log.with_name(TIMES)
    try:
        return _recorded(log, times) if times.exists() else bare(log.read_bytes(), log.name)
    except OSError as error:
        raise ConfigError(
            f"the console log cannot be read: {error.strerror or error}", place=str(error.filename)
        ) from error


def _recorded(log: Path, times: Path) -> tuple[list[Told], ConsoleInfo]:
    splitter, milestones = LineSplitter(), Milestones()
    told: list[Told] = []
    gaps: list[ConsoleGap] = []
    rates: list[Rate] = []
    garbage = Garbage()

    def take(lines: list[Line]) -> None:
        for line in lines:
            told.extend(milestones.feed(line))

    for item in read_back(log, times):
        if isinstance(item, Chunk):
            garbage.feed(item.data)
            take(splitter.feed(item.t, item.data))
            continue
        if isinstance(item, NewRate):
            rates.append(Rate(t=item.t, baud=item.baud, offset=item.offset))
            continue
        if item.kind == "gap":
            take(splitter.flush())
        gaps.append(ConsoleGap(item.t, item.offset, item.reason, back=item.kind == "back", line=splitter.lines))
        told.append(gaps[-1])
    take(splitter.flush())
    return told, ConsoleInfo(
        file=log.name,
        bytes=splitter.offset,
        lines=splitter.lines,
        binary=garbage.octets,
        gaps=gaps_of(gaps),
        rates=tuple(rates),
    )


def bare(data: bytes, name: str = "console.log") -> tuple[list[Told], ConsoleInfo]:
    """Milestones of a log without times."""
    splitter, milestones, inner, garbage = LineSplitter(), Milestones(), InnerClock(), Garbage()
    garbage.feed(data)
    told: list[Told] = []
    for line in splitter.feed(0.0, data) + splitter.flush():
        t = inner.at(line.text)
        told.extend(milestones.feed(Line(line.number, t, line.text, line.offset, line.partial, line.cut)))
    return told, ConsoleInfo(file=name, bytes=splitter.offset, lines=splitter.lines, binary=garbage.octets)
