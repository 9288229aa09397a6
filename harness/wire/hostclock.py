# SPDX-License-Identifier: GPL-2.0-or-later
"""The clock of a host that captures for us, held against ours: asked over ssh, as NTP does, by the shortest of some round trips.

The offset is what that clock said less the middle of the round trip (both epoch seconds); half of the round trip bounds the
error, however the way is split. `clock.jsonl` keeps what was measured, one line each.
"""

import json
import os
import re
import select
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from harness.boot.record import CaptureClock
from harness.clock import now
from harness.errors import InfraError
from harness.wire.ssh import CONNECT_TIMEOUT, SshHost, start

FILE = "clock.jsonl"

ROUNDS = 8
"""Round trips of one measurement. The first also waits for the login, and never counts."""

_ANSWER = 5.0
"""Seconds for one answer of a connection that is there."""

_SKEW = 500e-6
"""What a clock may gain or lose by itself, seconds per second: twice what NTP slews by (adjtimex(2) allows 500 ppm)."""

_LEAST_STEP = 0.010
"""Seconds below which nothing is called a step."""

_ASK = "while read -r x; do date +%s.%N; done"
_FINE, _COARSE = re.compile(r"(\d{9,11})\.(\d{1,9})"), re.compile(r"(\d{9,11})\D*")


@dataclass(frozen=True)
class Reading:
    """t: when, by our clock. offset_s: how far the other is ahead, ± uncertainty_s."""

    t: float
    host: str
    phase: Literal["start", "end"]
    offset_s: float
    uncertainty_s: float


class HostClock:
    """`with HostClock(host) as clock:` keeps a connection, on which `measure` costs some round trips."""

    def __init__(self, host: SshHost) -> None:
        self._host = host
        self._ssh: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._ssh = start(self._host.argv(["sh", "-c", _ASK]), subprocess.PIPE, subprocess.PIPE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ssh, self._ssh = self._ssh, None
        if ssh is None:
            return
        ssh.kill()  # what runs there ends with its standard input
        ssh.communicate()

    def measure(self, phase: Literal["start", "end"]) -> Reading:
        """InfraError: the host cannot be asked."""
        self._trip(CONNECT_TIMEOUT + _ANSWER)
        best = min((self._trip(_ANSWER) for _ in range(ROUNDS)), key=lambda trip: trip[1])
        return Reading(now(), self._host.name, phase, round(best[0], 6), round(best[1], 6))

    def _trip(self, allowed: float) -> tuple[float, float]:
        """(offset, uncertainty) by one question."""
        ssh = self._ssh
        assert ssh is not None  # noqa: S101 - entered
        assert ssh.stdin is not None  # noqa: S101
        begin = time.monotonic()
        try:
            ssh.stdin.write(b"\n")
        except OSError:
            raise self._failed() from None
        line = self._line(begin + allowed)
        half = (time.monotonic() - begin) / 2
        there, coarse = _seconds(line)
        if there is None:
            raise InfraError(
                f"{self._host.name} does not tell its time: `date +%s.%N` says {line[:60]!r}",
                remedy=f"see what a login without a terminal prints there: {self._host.by_hand()} date +%s.%N",
            )
        return there - (time.time() - half), half + coarse

    def _line(self, deadline: float) -> str:
        ssh = self._ssh
        assert ssh is not None  # noqa: S101
        assert ssh.stdout is not None  # noqa: S101
        got = b""
        while b"\n" not in got and len(got) < 4096:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([ssh.stdout], [], [], left)[0]:
                raise self._failed()
            piece = os.read(ssh.stdout.fileno(), 4096)
            if not piece:
                raise self._failed()
            got += piece
        return got.decode("ascii", "backslashreplace").strip()

    def _failed(self) -> InfraError:
        """Why there is no answer."""
        ssh = self._ssh
        assert ssh is not None  # noqa: S101
        try:
            status: int | None = ssh.wait(0.5)
        except subprocess.TimeoutExpired:
            status = None
            ssh.kill()
        _, said = ssh.communicate()
        known = self._host.explain(said.decode("utf-8", "backslashreplace"), status)
        return known or InfraError(
            f"{self._host.name} does not answer over ssh",
            place=self._host.name,
            remedy=f"look at the network, and try `{self._host.by_hand()}`",
        )


def _seconds(text: str) -> tuple[float | None, float]:
    """(epoch seconds, uncertainty): a date without %N (busybox) tells whole seconds only."""
    if fine := _FINE.fullmatch(text):
        return int(fine[1]) + float(f"0.{fine[2]}"), 0.0
    if coarse := _COARSE.fullmatch(text):
        return int(coarse[1]) + 0.5, 0.5
    return None, 0.0


def keep(folder: Path, reading: Reading) -> None:
    """Append to `clock.jsonl`. InfraError: the disk does not take it."""
    path = folder / FILE
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(reading)) + "\n")
    except OSError as error:
        raise InfraError(
            f"the clock of {reading.host} cannot be noted: {error.strerror}",
            place=str(path),
            remedy="make room on this disk, or give another folder with --reports",
        ) from error


def clock_of(folder: Path) -> CaptureClock | None:
    """What `clock.jsonl` says; None when there is none. Torn or senseless lines are passed over."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    readings: dict[str, Reading] = {}
    for line in lines:
        try:
            reading = Reading(**json.loads(line))
            readings[reading.phase] = reading
        except (ValueError, TypeError):
            continue
    first, last = readings.get("start"), readings.get("end")
    if first is None:
        return None
    drift = None if last is None else round(last.offset_s - first.offset_s, 6)
    allowed = 0.0
    if last is not None:
        allowed = first.uncertainty_s + last.uncertainty_s + _SKEW * max(0.0, last.t - first.t) + _LEAST_STEP
    return CaptureClock(
        host=first.host,
        offset_s=first.offset_s,
        uncertainty_s=first.uncertainty_s,
        drift_s=drift,
        stepped=drift is not None and abs(drift) > allowed,
    )
