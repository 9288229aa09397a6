# SPDX-License-Identifier: GPL-2.0-or-later
"""The two files of a console: `console.log`, every octet as it came, and `console.times`, when.

`console.times` is JSON lines: `[offset, t]` for each chunk that was read (offset of its first octet in console.log, epoch
seconds when it came), `[offset, t, "gap", reason]` where the console was lost, `[offset, t, "back", reason]` where it returned,
and `[offset, t, "baud", rate]` where its rate was changed. Both are written as the octets come (at most 0.15 s later), log
before times, without buffering: a killed run leaves all but the last moment, at worst without the stamps of its last chunks.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.errors import InfraError

LOG = "console.log"
TIMES = "console.times"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Octets read at `t`."""

    offset: int
    t: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """The console was lost, or came back, at `offset`."""

    offset: int
    t: float
    kind: Literal["gap", "back"]
    reason: str


@dataclass(frozen=True, slots=True)
class NewRate:
    """The rate was changed at `offset`."""

    offset: int
    t: float
    baud: int


class ConsoleFiles:
    """The writer. Raises OSError (disk full, no such folder)."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / LOG
        self.times = folder / TIMES
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._log = os.open(self.log, flags, 0o644)
        self._times = os.open(self.times, flags, 0o644)
        self._closed = False

    def chunks(self, offset: int, chunks: Sequence[tuple[float, bytes]]) -> None:
        """Append what was read at these times; the first octet is at `offset` of the log."""
        _write(self._log, b"".join(data for _, data in chunks))
        rows = []
        for t, data in chunks:
            rows.append(f"[{offset}, {t:.6f}]\n")
            offset += len(data)
        _write(self._times, "".join(rows).encode())

    def mark(self, offset: int, t: float, kind: Literal["gap", "back"], reason: str) -> None:
        _write(self._times, (json.dumps([offset, t, kind, reason]) + "\n").encode())

    def rate(self, offset: int, t: float, baud: int) -> None:
        _write(self._times, (json.dumps([offset, t, "baud", baud]) + "\n").encode())

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._log)
            os.close(self._times)


def unwritable(error: OSError, folder: Path) -> InfraError:
    """What a writer's OSError means."""
    return InfraError(
        f"the console's log cannot be written: {error.strerror or error}",
        place=str(folder),
        remedy="make room on this disk, or give another folder with --reports",
    )


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def read_back(log: Path, times: Path) -> Iterator[Chunk | Mark | NewRate]:
    """What was read, in order. Torn or senseless lines of `times` are passed over: their octets go with the stamp before.

    Raises OSError when a file cannot be read.
    """
    data = log.read_bytes()
    rows = list(_rows(times))
    at, t = 0, rows[0][1] if rows else 0.0
    for offset, when, mark in rows:
        if offset < at:
            continue
        if offset > at and data[at:offset]:
            yield Chunk(at, t, data[at:offset])
        at = offset
        if mark is not None:
            yield mark
        t = when
    if data[at:]:
        yield Chunk(at, t, data[at:])


def _rows(times: Path) -> Iterator[tuple[int, float, Mark | NewRate | None]]:
    for line in times.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        match row:
            case [int(offset), float() | int() as t]:
                yield offset, float(t), None
            case [int(offset), float() | int() as t, "gap" | "back" as kind, str(reason)]:
                yield offset, float(t), Mark(offset, float(t), kind, reason)
            case [int(offset), float() | int() as t, "baud", int(baud)]:
                yield offset, float(t), NewRate(offset, float(t), baud)
