# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture on another host: tcpdump there, its packets by ssh, stamped by that host's clock and put on ours."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.boot.events import Event
from harness.boot.record import CaptureInfo
from harness.errors import HarnessError, InfraError
from harness.wire.capture import LISTEN_TIMEOUT, Capture
from harness.wire.hostclock import HostClock, Reading, keep
from harness.wire.ssh import CONNECT_TIMEOUT, SshHost


class RemoteCapture:
    """As `Capture`, on `interface` of `host`; the file is `folder`/capture.pcapng.

    On entry the two clocks are compared, and tcpdump there has said that it listens. On exit they are compared again: what the
    record says of the clock is in `clock.jsonl`.
    """

    def __init__(
        self,
        host: SshHost,
        interface: str,
        folder: Path,
        *,
        macs: Iterable[str] | None = None,
        on_event: Callable[[Event], None] = lambda _: None,
        on_error: Callable[[HarnessError], None] = lambda _: None,
        filter_text: str | None = None,
        namespace: str = "",
    ) -> None:
        self._host, self._interface, self._folder, self._namespace = host, interface, folder, namespace
        self._macs, self._filter = macs, filter_text
        self._on_event, self._on_error = on_event, on_error
        self._stack = ExitStack()
        self._clock = HostClock(host)
        self._capture: Capture | None = None
        self._compared = False
        self.reading: Reading | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._clock)
            self.reading = self._clock.measure("start")
            keep(self._folder, self.reading)
            self._capture = stack.enter_context(
                Capture(
                    self._interface,
                    self._folder / "capture.pcapng",
                    macs=self._macs,
                    on_event=self._on_event,
                    on_error=self._on_error,
                    spawn=self._host.in_namespace(self._namespace) if self._namespace else self._host.spawn,
                    place=self._host.place(ahead=self.reading.offset_s, namespace=self._namespace),
                    filter_text=self._filter,
                    listen_timeout=CONNECT_TIMEOUT + LISTEN_TIMEOUT,
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self.stop()

    def stop(self) -> CaptureInfo:
        """As `Capture.stop`."""
        assert self._capture is not None  # noqa: S101 - entered
        info = self._capture.stop()
        if not self._compared:
            self._compared = True
            with suppress(InfraError):  # the connection is gone: the capture has told so
                keep(self._folder, self._clock.measure("end"))
        return info

    @property
    def info(self) -> CaptureInfo:
        assert self._capture is not None  # noqa: S101 - entered
        return self._capture.info
