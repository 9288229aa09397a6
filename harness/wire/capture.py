# SPDX-License-Identifier: GPL-2.0-or-later
"""Capturing a boot: tcpdump on an interface, its packets kept as pcapng and decoded while they come."""

import contextlib
import fcntl
import os
import select
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from harness.boot.events import Event
from harness.boot.record import CaptureInfo
from harness.clock import now
from harness.errors import HarnessBug, HarnessError, InfraError
from harness.urgency import hurry
from harness.wire import ending, pcapng, scapy_read, tcpdump
from harness.wire.decode import FrameDecoder
from harness.wire.ending import Ending
from harness.wire.filters import boot_filter
from harness.wire.links import ETHERNET
from harness.wire.pcapstream import PcapStream
from harness.wire.place import HERE, Place
from harness.wire.process import Process, Spawn, local
from harness.wire.recorder import Recorder
from harness.wire.replay import cooked

LISTEN_TIMEOUT = 10.0
"""Seconds within which tcpdump must listen."""

_PIPE = 1 << 20


class Capture:
    """A context manager: on entry tcpdump listens, on exit all packets are in `path` and decoded.

    macs: boards that are watched, None for all. on_event: takes the events, from the capture's own thread, in order.
    on_error: takes each error once, also from that thread: tcpdump or the stream failed (the capture is over then),
    the file can no longer be written (decoding goes on), on_event raised. spawn: how tcpdump is started; place: where, and how
    its clock goes. filter_text: pcap-filter(7), by default `boot_filter()`. snaplen: octets kept of a frame; buffer_kib: the
    kernel's ring.

    Entering raises InfraError (tcpdump missing, not allowed, no such interface, file cannot be made) or ConfigError
    (filter text). `errors`: all that on_error was told.
    """

    def __init__(
        self,
        interface: str,
        path: Path | str,
        *,
        macs: Iterable[str] | None = None,
        on_event: Callable[[Event], None] = lambda _: None,
        on_error: Callable[[HarnessError], None] = lambda _: None,
        spawn: Spawn = local,
        place: Place = HERE,
        filter_text: str | None = None,
        snaplen: int = tcpdump.SNAPLEN,
        buffer_kib: int = tcpdump.BUFFER_KIB,
        listen_timeout: float = LISTEN_TIMEOUT,
    ) -> None:
        self.interface, self.path = interface, Path(path)
        self.filter = boot_filter() if filter_text is None else filter_text
        self.decoder = FrameDecoder(macs, self._emit)
        self.errors: list[HarnessError] = []
        self.packets = 0  # received by us
        self._on_event, self._on_error, self._spawn = on_event, on_error, spawn
        self._place, self._ahead = place, round(place.ahead * 1_000_000)
        self._listen_timeout = listen_timeout
        self._argv = tcpdump.command(interface, self.filter, snaplen, buffer_kib)
        self._stream = PcapStream()
        self._talk = tcpdump.Talk()
        self._ending = Ending(self._signal)
        self._ready = threading.Event()  # listening, or over
        self._stopping = threading.Event()
        self._started = self._stop_at = 0.0
        self._info: CaptureInfo | None = None
        self._recorder: Recorder
        self._process: Process
        self._thread: threading.Thread

    def __enter__(self) -> "Capture":
        self._started = now()
        self._recorder = Recorder(self.path)
        self._open_pipes()
        try:
            self._process = self._spawn(self._argv, self._out[1], self._err[1])
        except BaseException as error:
            self._close(self._out[0], self._err[0], *self._wake)
            self._recorder.discard()
            if isinstance(error, OSError):
                raise tcpdump.not_started(error) from error
            raise
        finally:
            self._close(self._out[1], self._err[1])
        self._thread = threading.Thread(target=self._run, name=f"capture-{self.interface}", daemon=True)
        self._thread.start()
        try:
            scapy_read.warm()  # while tcpdump starts, not with the first packet
            self._ready.wait(self._listen_timeout)
        except BaseException:
            self.stop()
            raise
        if not self._talk.listening:
            self.stop()
            raise self._not_listening()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> CaptureInfo:
        """End the capture, within DRAIN_TIMEOUT + END_TIMEOUT seconds; what came until now is in the file and was decoded.
        Further calls give the same. Not to be called from on_event.
        """
        if self._info is None:
            if not self._stopping.is_set():
                self._stop_at = now()
                self._stopping.set()
                os.write(self._wake[1], b"\0")
            self._thread.join(ending.DRAIN_TIMEOUT + 3 * ending.END_TIMEOUT)
            if self._thread.is_alive():
                raise InfraError(
                    f"the capture on {self.interface} does not end", place=str(self.path), remedy="look for a hung disk"
                )
            self._close(self._out[0], self._err[0], *self._wake)
            self._info = self._account()
        return self._info

    @property
    def label(self) -> str:
        """The interface, for the record: "eth1", on another host "bench-pi:eth1"."""
        return f"{self._place.name}:{self.interface}" if self._place.name else self.interface

    @property
    def info(self) -> CaptureInfo:
        """Counts so far; final after `stop`."""
        return self._info or self._account()

    # The thread

    def _run(self) -> None:
        failed = False
        hurry()
        try:
            self._follow()
        except Exception as error:  # a capture that dies silently would cost a night's results
            failed = True
            self._report(_stream_error(error, self))
        status = self._end_process()
        if self._talk.listening and not failed and not self._stopping.is_set():
            self._report(self._died(status))
        end = self._stop_at or now()
        self.decoder.finish(end)
        self._recorder.end(self._started, end, *self._kernel_counts())
        self._report_file()
        self._ready.set()

    def _follow(self) -> None:
        """Read tcpdump's output until it ends, or until it should have ended."""
        out, err, wake = self._out[0], self._err[0], self._wake[0]
        poll = select.poll()
        for fd in (out, err, wake):
            poll.register(fd, select.POLLIN)
        still_open = {out, err}
        while still_open:
            for fd, _ in poll.poll(ending.ASK_EVERY * 1000 if self._ending.begun else None):
                piece = os.read(fd, _PIPE)
                if fd == wake or not piece:
                    poll.unregister(fd)
                    still_open.discard(fd)
                    self._ending.begin()
                elif fd == out:
                    self._packets(piece)
                else:
                    self._hear(piece)
            if self._ending.begun and not self._ending.step(self._talk, wanted=self._stopping.is_set()):
                return

    def _packets(self, piece: bytes) -> None:
        """To the file first: whoever is told of an event finds its packet there."""
        began = self._stream.link is not None
        packets = list(self._stream.feed(piece))
        if ahead := self._ahead:
            packets = [(micro - ahead, data, length) for micro, data, length in packets]
        link = self._stream.link
        if link is None:
            return
        if not began:
            self._recorder.begin(self.label, link, self._stream.snaplen, self.filter)
        if packets:
            self._recorder.add([pcapng.packet(*packet) for packet in packets])
        self._report_file()
        frame = self.decoder.frame
        for micro, data, _ in packets:
            self.packets += 1
            if link == ETHERNET:
                frame(self.packets, micro / 1_000_000, data)
            else:
                cooked(self.decoder, self.packets, micro / 1_000_000, link, data)

    def _hear(self, piece: bytes) -> None:
        self._talk.hear(piece)
        if self._talk.listening:
            self._ready.set()

    def _emit(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception as error:  # must not pass for a malformed packet
            if not any(isinstance(known, HarnessBug) for known in self.errors):
                bug = HarnessBug(f"an event of the capture was not taken: {type(error).__name__}: {error}")
                bug.__cause__ = error
                self._report(bug)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(OSError, HarnessError):  # it, or the rig that it runs in, has just ended
            self._process.signal(number)

    def _end_process(self) -> int | None:
        """tcpdump has ended, or is made to; its status."""
        for _ in range(2):
            try:
                return self._process.wait(ending.END_TIMEOUT if self._ending.begun else 0.1)
            except (TimeoutError, InfraError):
                self._signal(signal.SIGKILL)
        return None

    def _report(self, error: HarnessError) -> None:
        self.errors.append(error)
        if self._talk.listening:  # before, it is raised on entry
            with contextlib.suppress(
                Exception
            ):  # who is told of errors fails itself: it stands in `errors`, the capture goes on
                self._on_error(error)

    def _report_file(self) -> None:
        error = self._recorder.error
        if error is not None and error not in self.errors:
            self._report(error)

    # Counting

    def _kernel_counts(self) -> tuple[int | None, int | None]:
        """(received, dropped) as the kernel counted them; None when tcpdump did not live to tell.

        What the kernel received after everything before the stop had been written is not of the boot, nor counted.
        """
        counts = self._talk.counters()
        if counts is None:
            return None, None
        _, received, dropped = counts
        return min(received, self.packets + dropped) if self._ending.drained else received, dropped

    def _account(self) -> CaptureInfo:
        received, dropped = self._kernel_counts()
        written = self._recorder.packets
        return CaptureInfo(
            packets=written,
            dropped=dropped or 0,
            received=received,
            file=self.path.name,
            interface=self.label,
            filter=self.filter,
            complete=dropped == 0 and received == written,
        )

    # Small things

    def _open_pipes(self) -> None:
        self._out, self._err, self._wake = os.pipe(), os.pipe(), os.pipe()
        with contextlib.suppress(OSError):  # above the limit for ordinary users: then it stays at 64 KiB
            fcntl.fcntl(self._out[0], fcntl.F_SETPIPE_SZ, _PIPE)

    def _close(self, *descriptors: int) -> None:
        for fd in descriptors:
            os.close(fd)

    def _not_listening(self) -> HarnessError:
        if self.errors:
            return self.errors[0]
        said, status = self._talk.said, self._process.returncode
        known = self._place.explain(said, status) or tcpdump.refused(
            said, self.interface, self.filter, self._place.name
        )
        return known or tcpdump.mute(said, self._argv, self.interface, self._place.on, self._listen_timeout)

    def _died(self, status: int | None) -> HarnessError:
        known = self._place.explain(self._talk.said, status)
        return known or tcpdump.died(self._talk.said, status, self.interface + self._place.on, self.path)


def _stream_error(error: Exception, capture: Capture) -> HarnessError:
    what = f"the capture on {capture.interface} failed: {type(error).__name__}: {error}"
    if isinstance(error, ValueError | OSError):  # octets that are no pcap stream
        return InfraError(what, place=str(capture.path), remedy="see what stands in for tcpdump here")
    return HarnessBug(what, place=str(capture.path))
