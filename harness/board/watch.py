# SPDX-License-Identifier: GPL-2.0-or-later
"""The watch over one boot: takes events from the gear's threads, follows the stages, and knows when to stop waiting."""

import queue
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from harness.boot.events import ClockStep, ConsoleGap, Ended, Event, SoftReboot, TransferProgress
from harness.boot.expect import Expectation
from harness.boot.gaps import by_console
from harness.boot.record import BootRecord
from harness.boot.tracker import StageTracker
from harness.clock import ClockWatch, now
from harness.errors import BootFailure, ConfigError, HarnessError, InfraError
from harness.run import journal

#: How often a watch wakes up to look at its deadline and the clock when nothing happens, seconds.
_TICK = 0.25


class Viewer(Protocol):
    """Whoever looks on: a terminal, or nobody."""

    def began(self, board: str, budgets: Mapping[str, float]) -> None: ...

    def stage_started(self, board: str, stage: str, t: float) -> None: ...

    def stage_ended(self, board: str, stage: str, t: float, duration: float) -> None: ...

    def progress(self, board: str, text: str) -> None: ...

    def finished(self, record: BootRecord) -> None: ...


class Blind:
    """A viewer that does not look."""

    def began(self, board: str, budgets: Mapping[str, float]) -> None:
        pass

    def stage_started(self, board: str, stage: str, t: float) -> None:
        pass

    def stage_ended(self, board: str, stage: str, t: float, duration: float) -> None:
        pass

    def progress(self, board: str, text: str) -> None:
        pass

    def finished(self, record: BootRecord) -> None:
        pass


def _nothing() -> None:
    pass


class Watch:
    """Follows one boot. `emit` and `fail` may be called from any thread; the others from the one that waits."""

    def __init__(self, expectation: Expectation, folder: Path, viewer: Viewer, alive: Callable[[], None]) -> None:
        self.tracker = StageTracker(expectation)
        self._board = expectation.board
        self._journal = folder / "harness.jsonl"
        self._viewer = viewer
        self._alive = alive
        self._queue: queue.SimpleQueue[Event | HarnessError] = queue.SimpleQueue()
        #: Asks a console that is back while a prompt is awaited to say it again.
        self.nudge: Callable[[], None] = _nothing
        self._away: ConsoleGap | None = None
        self._clock = ClockWatch()
        self._stepped = 0.0

    def emit(self, event: Event) -> None:
        self._queue.put(event)

    def fail(self, error: HarnessError) -> None:
        """The gear failed: ends the watch with this error."""
        self._queue.put(error)

    def until_begun(self, begun: Callable[[], bool], timeout: float) -> None:
        """Wait for a boot that somebody else starts. InfraError: none began within `timeout` seconds, or the gear failed."""
        deadline = time.monotonic() + timeout
        while not begun():
            left = deadline - time.monotonic()
            if left <= 0:
                raise InfraError(
                    f"no boot of {self._board} began within {timeout:g} s",
                    remedy="switch it on while this waits (`piboot power BOARD cycle`); if it did boot: are wire and console "
                    "the board's own?",
                )
            self._take(min(left, _TICK))

    def until(self, stage: str) -> None:
        """Wait until `stage` is done.

        Raises BootFailure when a stage before it, or it, is not done in its time or ends badly; InfraError when the gear fails.
        """
        tracker = self.tracker
        while not tracker.marks[stage].done:
            if tracker.lost:
                failed = tracker.failed_at or stage
                raise BootFailure(f"stage {failed} ended with: {tracker.lost[:160]}", stage=failed)
            deadline = tracker.deadline()
            left = _TICK if deadline is None else deadline - now()
            if left <= 0:
                current = tracker.current or stage
                self._not_while_away(current)
                budget = tracker.expectation.budgets.get(current, 0.0)
                raise BootFailure(
                    f"stage {current} was not done within {budget * tracker.expectation.grace:g} s "
                    f"(its budget is {budget:g} s)",
                    stage=current,
                )
            self._take(min(left, _TICK))

    def rebooting(self, detail: str) -> None:
        """The system is about to be asked to reboot. InfraError: the disk is full."""
        event = SoftReboot(now(), detail)
        journal.append(self._journal, event)
        self.emit(event)

    def _not_while_away(self, stage: str) -> None:
        """Nobody knows whether a stage was done in time that only the console could have shown. InfraError."""
        gap = self._away
        if gap is not None and by_console(stage, self.tracker.expectation):
            raise InfraError(
                f"the console was lost {now() - gap.t:.1f} s ago ({gap.reason}), and without it stage {stage} cannot be seen",
                remedy="check the serial adapter or server, its cable, and that no other program reads the port",
            )

    def drain(self, quiet: float = 0.0) -> None:
        """Take what is there; with `quiet`, wait until nothing came for so many seconds (at most ten times as long)."""
        end = time.monotonic() + 10 * quiet
        while self._take(quiet) and (quiet == 0.0 or time.monotonic() < end):
            pass

    def ended(self, reason: str, detail: str = "", remedy: str = "") -> Ended:
        event = Ended(t=now(), reason=reason, detail=detail, remedy=remedy)
        journal.append(self._journal, event)
        return event

    def _take(self, timeout: float) -> bool:
        self._look_at_the_clock()
        self._alive()
        try:
            item = self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait()
        except queue.Empty:
            return False
        if isinstance(item, HarnessError):
            raise item
        if isinstance(item, ConsoleGap):
            self._viewer.progress(self._board, f"console {'is back' if item.back else 'lost'}: {item.reason}")
            self._away = None if item.back else item
            if item.back and self.tracker.current == "userspace":
                self.nudge()
        if isinstance(item, TransferProgress):
            whole = f" of {item.tsize / 1e6:.1f}" if item.tsize else ""
            self._viewer.progress(self._board, f"{item.path}: {item.bytes / 1e6:.1f}{whole} MB")
            return True
        for change in self.tracker.feed(item):
            mark = self.tracker.marks[change.stage]
            if change.what == "started":
                self._viewer.stage_started(self._board, change.stage, change.t)
            else:
                start = mark.start if mark.start is not None else change.t
                self._viewer.stage_ended(self._board, change.stage, change.t, change.t - start)
        return True

    def _look_at_the_clock(self) -> None:
        step = self._clock.step()
        if abs(step - self._stepped) > self._clock.tolerance:
            journal.append(self._journal, ClockStep(t=now(), seconds=round(step - self._stepped, 3)))
            self._stepped = step


def stopped_by(error: BaseException) -> tuple[str, str, str]:
    """(reason, detail, remedy) of the `Ended` event for what ended a watch."""
    if isinstance(error, BootFailure):
        return "deadline", error.what, error.remedy
    if isinstance(error, InfraError | ConfigError):
        place = f" ({error.place})" if error.place else ""
        return "infra" if isinstance(error, InfraError) else "config", error.what + place, error.remedy
    if isinstance(error, KeyboardInterrupt):
        return "stopped", "stopped by a person (Ctrl-C)", ""
    return "stopped", f"{type(error).__name__}: {error}", ""
