# SPDX-License-Identifier: GPL-2.0-or-later
"""The console of one boot: one thread reads all that comes, keeps it with its time, and tells what it means.

It is started before power-on and is the only reader of the port; logins and people get copies through `tap`. The thread never
ends in silence: a lost line is told as `ConsoleGap` and reopened, whatever else goes wrong is told through `on_error`.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

from harness import clock
from harness.boot.events import ConsoleGap, Milestone
from harness.boot.record import ConsoleInfo, Evidence
from harness.console.files import LOG, ConsoleFiles
from harness.console.lines import Line, LineSplitter
from harness.console.link import Link
from harness.console.milestones import Milestones
from harness.console.port import BAUD, Opener, PortGone, open_port
from harness.console.tap import Tap, unfinished
from harness.console.text import clean
from harness.errors import HarnessBug, HarnessError, InfraError

#: Seconds to let octets gather after a read: bounds the reads to 100 per second at any rate (a wake-up costs more than what is
#: done with the octets), and the error of a stamp to 10 ms more than the machine's own.
GATHER = 0.010

#: Seconds of reads that are dealt with at once while octets keep coming; when none do, at once.
_BATCH = 0.04

_TAIL = 64 * 1024

_T = TypeVar("_T")


class ConsoleLog:
    """Reads `port` (a device, a URL, or a function that opens one) into `folder` from `start` to `close`.

    on_event: milestones and gaps, called by the reading thread in their order; on_line: every line, likewise; on_error: at
    most one InfraError for a full disk and one per loss that outlasts `reconnect_for` seconds, and HarnessBug when one of
    the functions given here raises (once).
    """

    def __init__(
        self,
        port: str | Opener,
        folder: Path,
        *,
        on_event: Callable[[Milestone | ConsoleGap], None] = lambda _event: None,
        on_line: Callable[[Line], None] | None = None,
        on_error: Callable[[HarnessError], None] = lambda _error: None,
        baudrate: int = BAUD,
        reconnect_for: float = 30.0,
        gather: float = GATHER,
    ) -> None:
        opener: Opener = (lambda: open_port(port, baudrate)) if isinstance(port, str) else port
        self._link = Link(opener, port if isinstance(port, str) else "console", reconnect_for)
        self.folder = folder
        self._on_event, self._on_line, self._on_error = on_event, on_line, on_error
        self._gather = gather
        self._files: ConsoleFiles | None = None
        self._splitter = LineSplitter()
        self._milestones = Milestones()
        self._gaps: list[Evidence] = []
        self._batch: list[tuple[float, bytes]] = []
        self._tail = bytearray()
        self._taps: list[Tap] = []
        self._probes: dict[str, str] = {}
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._disk_error = False
        self._listener_failed = False

    # -- for the one who watches a boot ------------------------------------------------------------------------------

    def start(self) -> Self:
        """Open files and port and begin to read. InfraError, ConfigError: it cannot."""
        try:
            self._files = ConsoleFiles(self.folder)
        except OSError as error:
            raise _disk(error, self.folder) from error
        try:
            self._link.open()
        except BaseException:
            self._files.close()
            raise
        self._thread = threading.Thread(target=self._run, name=f"console {self.name}", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop reading; what stands there unfinished becomes a line. Everything read is in the files then."""
        self._stop.set()
        port = self._link.port
        if port is not None:
            port.interrupt()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10.0)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Send octets. InfraError when the line is lost (the reading thread tells the gap)."""
        self._link.write(data)

    def tap(self) -> Tap:
        """A copy of all octets from now on, after those of the line that is not finished yet (`unfinished`): a prompt, say."""
        with self._changed:
            tap = Tap(unfinished(bytes(self._tail[-8192:])))
            self._taps.append(tap)
        return tap

    def untap(self, tap: Tap) -> None:
        with self._changed, contextlib.suppress(ValueError):
            self._taps.remove(tap)

    def tail(self, characters: int = 2000) -> str:
        """The last of what came, cleaned, for a message or a person."""
        with self._changed:
            raw = bytes(self._tail[-4 * characters :])
        return "\n".join(clean(line).rstrip() for line in raw.split(b"\n"))[-characters:]

    @property
    def name(self) -> str:
        """Device or URL, for people."""
        return self._link.name

    @property
    def bytes_read(self) -> int:
        return self._splitter.offset

    @property
    def probes(self) -> dict[str, str]:
        """What `harness.console.probe` made the board print: the same that a replay of the files finds."""
        with self._changed:
            return dict(self._probes)

    def wait(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until `predicate` holds; it is tried after each chunk that was dealt with. False: it did not in time."""
        with self._changed:
            return self._changed.wait_for(predicate, timeout)

    def info(self) -> ConsoleInfo:
        with self._changed:
            return ConsoleInfo(
                file=LOG, bytes=self._splitter.offset, lines=self._splitter.lines, gaps=tuple(self._gaps)
            )

    # -- the reading thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._read_on() if self._link.port is not None else self._reconnect()
        except Exception as error:
            self._tell_error(
                HarnessBug(f"the console's reader failed: {type(error).__name__}: {error}", place=self.name)
            )
        finally:
            self._drain()
            self._lines(self._splitter.flush())
            if self._files is not None:
                self._files.close()
            if self._link.port is not None:
                self._link.port.close()
            with self._changed:
                for tap in self._taps:
                    tap.put(None)
                self._changed.notify_all()

    def _read_on(self) -> None:
        assert self._link.port is not None  # noqa: S101 - for the type checker
        try:
            data = self._link.port.read(0.0 if self._batch else 1.0)
        except PortGone as error:
            self._deal()
            self._lost(str(error))
            return
        if data:
            self._batch.append((clock.now(), data))
        if self._batch and (not data or not self._gather or self._batch[-1][0] - self._batch[0][0] >= _BATCH):
            self._deal()
        if data and self._gather:
            time.sleep(self._gather)  # not Event.wait: that costs as much as the whole read

    def _drain(self) -> None:
        """What had come when `close` was called belongs to this boot."""
        empty, deadline = 0, time.monotonic() + 1.0
        while (
            self._link.port is not None and empty < 2 and time.monotonic() < deadline
        ):  # the first may be the interruption
            try:
                data = self._link.port.read(0.0)
            except PortGone:
                break
            if data:
                self._batch.append((clock.now(), data))
            else:
                empty += 1
        self._deal()

    def _deal(self) -> None:
        """Keep the octets that were read, and tell what they mean."""
        batch, self._batch = self._batch, []
        if not batch:
            return
        offset = self._splitter.offset
        self._keep(lambda files: files.chunks(offset, batch))
        for t, data in batch:
            self._lines(self._splitter.feed(t, data))
        with self._changed:
            for _, data in batch:
                self._tail += data
                for tap in self._taps:
                    tap.put(data)
            if len(self._tail) > 2 * _TAIL:
                del self._tail[:-_TAIL]
            self._changed.notify_all()

    def _lines(self, lines: list[Line]) -> None:
        for line in lines:
            if self._on_line is not None:
                self._call(self._on_line, line)
            for milestone in self._milestones.feed(line):
                if milestone.name == "probe.value":
                    with self._changed:
                        self._probes[milestone.fields["key"]] = milestone.fields["value"]
                self._call(self._on_event, milestone)

    def _lost(self, reason: str) -> None:
        error = self._link.lost(reason)
        self._lines(self._splitter.flush())
        self._gap("gap", reason)
        if error is not None:
            self._tell_error(error)

    def _reconnect(self) -> None:
        how, error = self._link.retry(self._stop)
        if error is not None:
            self._tell_error(error)
        if how:
            self._gap("back", how)

    def _gap(self, kind: Literal["gap", "back"], reason: str) -> None:
        t, offset = clock.now(), self._splitter.offset
        reason = clean(reason.encode())[:300]
        self._keep(lambda files: files.mark(offset, t, kind, reason))
        with self._changed:
            self._gaps.append(gap_evidence(self._splitter.lines, t, kind, reason))
        self._call(self._on_event, ConsoleGap(t, offset, reason, back=kind == "back"))
        with self._changed:
            self._changed.notify_all()

    def _keep(self, write: Callable[[ConsoleFiles], None]) -> None:
        if self._files is None or self._disk_error:
            return
        try:
            write(self._files)
        except OSError as error:
            self._disk_error = True  # the log ends here; milestones go on
            self._tell_error(_disk(error, self.folder))

    def _call(self, function: Callable[[_T], None], argument: _T) -> None:
        try:
            function(argument)
        except Exception as error:
            if not self._listener_failed:
                self._listener_failed = True
                what = f"a listener of the console failed: {type(error).__name__}: {error}"
                self._tell_error(HarnessBug(what, place=self.name))

    def _tell_error(self, error: HarnessError) -> None:
        with contextlib.suppress(Exception):
            self._on_error(error)


def gap_evidence(line: int, t: float, kind: Literal["gap", "back"], reason: str) -> Evidence:
    return Evidence(source="console", ref=line, t=t, text=f"{'lost' if kind == 'gap' else 'back'}: {reason}")


def _disk(error: OSError, folder: Path) -> InfraError:
    return InfraError(
        f"the console's log cannot be written: {error.strerror or error}",
        place=str(folder),
        remedy="make room on this disk, or give another folder with --reports",
    )
