# SPDX-License-Identifier: GPL-2.0-or-later
"""The console of one boot: keeps all that comes with its time, and tells what it means.

It is started before power-on; logins and people get copies through `tap`. Its `Reader` tells a lost line, which is told on as
`ConsoleGap`; whatever else goes wrong is told through `on_error`.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, Self

from harness import clock
from harness.boot.events import ConsoleGap, Milestone
from harness.boot.gaps import gaps_of
from harness.boot.record import ConsoleInfo, Rate
from harness.console.files import LOG, ConsoleFiles, unwritable
from harness.console.garbage import Garbage
from harness.console.lines import Line, LineSplitter
from harness.console.link import Link
from harness.console.milestones import Milestones
from harness.console.port import BAUD, Opener, open_port
from harness.console.reader import GATHER, Reader
from harness.console.sending import Pace
from harness.console.tap import Copies, Tap
from harness.console.text import clean
from harness.errors import HarnessBug, HarnessError
from harness.masking import Masker


class ConsoleLog:
    """Reads `port` (a device, a URL, or a function that opens one) into `folder` from `start` to `close`.

    on_event: milestones and gaps, called by the reading thread in their order; on_line: every line, likewise; on_error: at
    most one InfraError for a full disk and one per loss that outlasts `reconnect_for` seconds, and HarnessBug when one of
    the functions given here raises (once). name: of the line, until it is opened; baudrate: what `port` is opened with;
    baud_after: milestone -> the rate from there on.
    """

    def __init__(
        self,
        port: str | Opener,
        folder: Path,
        *,
        on_event: Callable[[Milestone | ConsoleGap], None] = lambda _event: None,
        on_line: Callable[[Line], None] | None = None,
        on_error: Callable[[HarnessError], None] = lambda _error: None,
        name: str = "console",
        baudrate: int = BAUD,
        baud_after: Mapping[str, int] = MappingProxyType({}),
        pace: Pace | None = None,
        reconnect_for: float = 30.0,
        gather: float = GATHER,
    ) -> None:
        opener: Opener = (lambda: open_port(port, baudrate)) if isinstance(port, str) else port
        name = port if isinstance(port, str) else name
        self._link = Link(opener, name, reconnect_for, baud=baudrate, pace=pace)
        self._baud_after = dict(baud_after)
        self.folder = folder
        self._on_event, self._on_line, self._on_error = on_event, on_line, on_error
        self._reader = Reader(self._link, self, gather)
        self._files: ConsoleFiles | None = None
        self._masker = Masker()
        self._splitter = LineSplitter()
        self._garbage = Garbage()
        self._milestones = Milestones()
        self._gaps: list[ConsoleGap] = []
        self._rates: list[Rate] = []
        self._new_rates: deque[tuple[float, int]] = deque()
        self._copies = Copies()
        self._probes: dict[str, str] = {}
        self._changed = threading.Condition()
        self._disk_error = False
        self._listener_failed = False
        self._after: list[Callable[[], None]] = []

    # -- for the one who watches a boot ------------------------------------------------------------------------------

    def start(self) -> Self:
        """Open files and port and begin to read. InfraError, ConfigError: it cannot."""
        try:
            self._files = ConsoleFiles(self.folder)
        except OSError as error:
            raise unwritable(error, self.folder) from error
        try:
            self._link.open()
        except BaseException:
            self._files.close()
            raise
        self._reader.start()
        return self

    def close(self) -> None:
        """Stop reading; what stands there unfinished becomes a line. Everything read is in the files then."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def after(self, call: Callable[[], None]) -> None:
        """`call` is called, by the reading thread, when nothing comes any more."""
        self._after.append(call)

    def write(self, data: bytes) -> None:
        """Send octets, at the line's pace. InfraError when the line is lost (the reading thread tells the gap)."""
        self._link.write(data)

    def send_break(self, then: bytes = b"") -> None:
        """A break of a quarter of a second, and octets right after it. InfraError: the line is lost; ConfigError: this kind of
        line has none.
        """
        self._link.send_break(then)

    def sysrq(self, key: str) -> None:
        """Break and `key` at once: the kernel takes a key within 5 s after a break (admin-guide/sysrq.rst), where its
        kernel.sysrq allows it. "b" restarts the board without a word to its disks, "h" prints what there is. Errors as
        `send_break`.
        """
        if len(key) != 1 or not key.isascii() or not key.isprintable():
            raise ValueError(f"a SysRq key is one character, not {key!r}")
        self.send_break(key.encode())

    @property
    def baud(self) -> int:
        """The rate of the line. Set it while the board boots: it stands on the record. InfraError, ConfigError when the line
        cannot have it.
        """
        return self._link.baud

    @baud.setter
    def baud(self, rate: int) -> None:
        before = self._link.baud
        self._link.set_baud(rate)
        if rate != before:
            self._new_rates.append((clock.now(), rate))

    def expect_echo(self, octets: int) -> None:
        """A secret of so many octets is typed next: its echo, should there be one, is neither kept nor told."""
        self._masker.expect_echo(octets)

    def tap(self) -> Tap:
        """A copy of all octets from now on, after those of the line that is not finished yet (`unfinished`): a prompt, say."""
        with self._changed:
            return self._copies.tap()

    def untap(self, tap: Tap) -> None:
        with self._changed:
            self._copies.untap(tap)

    def tail(self, characters: int = 2000) -> str:
        """The last of what came, cleaned, for a message or a person."""
        with self._changed:
            return self._copies.tail(characters)

    @property
    def name(self) -> str:
        """Device or URL, for people."""
        return self._link.name

    @property
    def closed(self) -> bool:
        return self._reader.closed

    @property
    def away(self) -> bool:
        """Whether the line is lost now."""
        return self._link.port is None

    @property
    def losses(self) -> int:
        """How often the line was lost until now."""
        with self._changed:
            return sum(not gap.back for gap in self._gaps)

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
                file=LOG,
                bytes=self._splitter.offset,
                lines=self._splitter.lines,
                binary=self._garbage.octets,
                gaps=gaps_of(self._gaps),
                rates=tuple(self._rates),
            )

    # -- for the reading thread --------------------------------------------------------------------------------------

    def take(self, batch: Sequence[tuple[float, bytes]]) -> None:
        """Keep the octets that were read, and tell what they mean."""
        self._note_rates()
        batch = [(t, self._masker.feed(data)) for t, data in batch]
        offset = self._splitter.offset
        self._keep(lambda files: files.chunks(offset, batch))
        for t, data in batch:
            self._garbage.feed(data)
            self._lines(self._splitter.feed(t, data))
        self._note_rates()
        with self._changed:
            self._copies.put(data for _, data in batch)
            self._changed.notify_all()

    def parted(self, kind: Literal["gap", "back"], reason: str) -> None:
        """Halves of a line on both sides of a gap are lines of their own."""
        self._note_rates()
        if kind == "gap":
            self._lines(self._splitter.flush())
        t, offset = clock.now(), self._splitter.offset
        reason = clean(reason.encode())[:300]
        self._keep(lambda files: files.mark(offset, t, kind, reason))
        gap = ConsoleGap(t, offset, reason, back=kind == "back", line=self._splitter.lines)
        with self._changed:
            self._gaps.append(gap)
        self._call(partial(self._on_event, gap))
        with self._changed:
            self._changed.notify_all()

    def failed(self, error: HarnessError) -> None:
        with contextlib.suppress(
            Exception
        ):  # who is told of errors fails itself: nobody is left to tell, and reading goes on
            self._on_error(error)
        with self._changed:
            self._changed.notify_all()

    def over(self) -> None:
        """The last unfinished line, and the end for those who have a copy."""
        self._lines(self._splitter.flush())
        self._note_rates()
        if self._files is not None:
            self._files.close()
        with self._changed:
            self._copies.over()
            self._changed.notify_all()
        for call in self._after:
            self._call(call)

    def _lines(self, lines: list[Line]) -> None:
        for line in lines:
            if self._on_line is not None:
                self._call(partial(self._on_line, line))
            for milestone in self._milestones.feed(line):
                if milestone.name == "probe.value":
                    with self._changed:
                        self._probes[milestone.fields["key"]] = milestone.fields["value"]
                self._call(partial(self._on_event, milestone))
                self._rate_after(self._baud_after.get(milestone.name))

    def _note_rates(self) -> None:
        """Changes of the rate by any thread: only the one that reads knows where in the log they stand."""
        while self._new_rates:
            self._note_rate(*self._new_rates.popleft())

    def _note_rate(self, t: float, baud: int) -> None:
        t, offset = round(t, 6), self._splitter.offset
        self._keep(lambda files: files.rate(offset, t, baud))
        with self._changed:
            self._rates.append(Rate(t=t, baud=baud, offset=offset))

    def _rate_after(self, baud: int | None) -> None:
        if baud is not None and baud != self.baud:
            try:
                self.baud = baud
            except HarnessError as error:
                self.failed(error)

    def _keep(self, write: Callable[[ConsoleFiles], None]) -> None:
        if self._files is None or self._disk_error:
            return
        try:
            write(self._files)
        except OSError as error:
            self._disk_error = True  # the log ends here; milestones go on
            self.failed(unwritable(error, self.folder))

    def _call(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # whatever a listener does, the line is read on
            if not self._listener_failed:
                self._listener_failed = True
                what = f"a listener of the console failed: {type(error).__name__}: {error}"
                self.failed(HarnessBug(what, place=self.name))
