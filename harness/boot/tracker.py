# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage tracker: follows one boot through its stages, event by event, live or from files.

A stage ends with its own evidence, or when evidence of a later stage shows that it must have passed (it is then
"unseen"). Network stages begin and end with packets and carry the kernel's stamps of those; stages of the running kernel
begin where the one before ended, so that no second of a boot is left out of the time line.
"""

from collections.abc import Mapping, Sequence

from harness.boot import restart
from harness.boot.events import (
    Began,
    DhcpMessage,
    Event,
    FirstFrame,
    HttpAsked,
    HttpEnded,
    IscsiLogin,
    Milestone,
    NfsMount,
    PowerEdge,
    RootConnect,
    SoftReboot,
    TransferEnded,
    TransferStarted,
)
from harness.boot.expect import Expectation
from harness.boot.lease import Lease
from harness.boot.loss import Loss
from harness.boot.marks import (
    CONSOLE_ENDS,
    IMAGE,
    KERNEL,
    REFUSED,
    STRANGERS,
    Change,
    Marks,
)
from harness.boot.record import Evidence, HttpFetch, TftpTransfer
from harness.boot.stages import STAGES


class StageTracker:
    """Feed events in the order of their times; read `marks`, `current`, `fatal` and `deadline`."""

    def __init__(self, expectation: Expectation) -> None:
        self.expectation = expectation
        self.marks = Marks()
        self._loss = Loss(self.marks)
        self._last_transfer: tuple[float, Evidence] | None = None
        self._lease = Lease(self.marks)
        self._kernel: tuple[float, Evidence] | None = None
        self._going_down = False
        self._wanted = STAGES[: STAGES.index(expectation.until) + 1]

    @property
    def current(self) -> str | None:
        """The stage that is awaited now; None when all that were asked for are done."""
        first = next((name for name in self._wanted if not self.marks[name].done), None)
        if first == "firmware" and self._kernel is not None and "kernel" in self._wanted:
            return "kernel"  # it has all that it can ask for, unless it asks again
        return first

    @property
    def lost(self) -> str:
        """Why this boot cannot go on by itself; "" while it may."""
        return self._loss.why

    @property
    def fatal(self) -> Milestone | None:
        """The console line that ended it."""
        return self._loss.fatal

    @property
    def failed_at(self) -> str | None:
        """The stage in which it was lost."""
        return self._loss.stage

    def close(self) -> None:
        """No more events: a firmware whose last file was its kernel had done its part."""
        if not self.marks["firmware"].done and self._kernel is not None and self.failed_at is None:
            self.marks.end("firmware", *self._kernel)

    def deadline(self, stage: str | None = None) -> float | None:
        """Epoch seconds by which the awaited stage must be done: its wait began when the one before ended."""
        stage = stage or self.current
        if stage is None:
            return None
        since = self.waiting_since(stage)
        budget = self.expectation.budgets.get(stage)
        return None if since is None or budget is None else since + budget * self.expectation.grace

    def waiting_since(self, stage: str) -> float | None:
        index = STAGES.index(stage)
        ends = [end for name in STAGES[:index] if (end := self.marks[name].end) is not None]
        if stage == "kernel" and self._kernel is not None:
            ends.append(self._kernel[0])
        return max(ends) if ends else self.marks[stage].start

    def feed(self, event: Event) -> Sequence[Change]:
        """Take one event in; the changes that it made."""
        if self._going_down and not self._reset(event):
            return ()
        before = {name: (mark.start, mark.end) for name, mark in self.marks.items()}
        self._take(event)
        return self._changes(before)

    def _take(self, event: Event) -> None:
        match event:
            case PowerEdge() | Began():
                self._power(event)
            case SoftReboot():
                self._soft_reboot(event)
            case FirstFrame(mac=mac) if mac == self.expectation.mac or not self.expectation.mac:
                self.marks.end(
                    "link", event.t, Evidence(source="packet", ref=event.packet, t=event.t, text="first frame")
                )
            case DhcpMessage():
                self._lease.told(event)
            case TransferStarted() | HttpAsked():
                self._asked(event)
            case TransferEnded(transfer=one) if one.complete:
                self._delivered(event.t, one, last=KERNEL.search(one.path) is not None or one.path.endswith(IMAGE))
            case HttpEnded(fetch=one) if one.complete:
                self._delivered(event.t, one, last=one.path.endswith(IMAGE))
            case RootConnect() | NfsMount() | IscsiLogin():
                self._root(event)
            case Milestone():
                self._milestone(event)
            case _:
                pass

    def _changes(self, before: Mapping[str, tuple[float | None, float | None]]) -> list[Change]:
        changes = []
        for name, mark in self.marks.items():
            start, end = before[name]
            if start is None and mark.start is not None:
                changes.append(Change(name, "started", mark.start))
            if end is None and mark.end is not None:
                changes.append(Change(name, "ended", mark.end))
        return changes

    # -- one method for each kind of evidence ------------------------------------------------------------------------

    def _power(self, edge: PowerEdge | Began) -> None:
        if isinstance(edge, Began):
            self.marks.begun(edge.t, edge.text)
            return
        if not edge.on:
            return
        mark = self.marks["power"]
        text = "asked to switch on" if edge.phase == "asked" else f"on, read back {edge.detail}".strip()
        evidence = Evidence(source="power", t=edge.t, text=text)
        if mark.start is None:
            mark.start = edge.t
            mark.evidence.append(evidence)
        if edge.phase == "confirmed" and not mark.done:
            mark.end = edge.t
            mark.evidence.append(evidence)
            if not self.marks["link"].done:
                self.marks["link"].start = edge.t

    def _soft_reboot(self, event: SoftReboot) -> None:
        mark = self.marks["power"]
        mark.start, mark.note = event.t, restart.NOTE
        mark.evidence.append(Evidence(source="harness", t=event.t, text=event.detail or "asked to reboot"))
        self._going_down = True

    def _reset(self, event: Event) -> bool:
        """Whether the board has been reset, as this event shows; what came before is of the system that went down."""
        evidence = restart.shows_reset(event)
        if evidence is not None:
            self._going_down = False
            mark = self.marks["power"]
            mark.end = self.marks["link"].start = event.t
            mark.evidence.append(evidence)
        return evidence is not None

    def _asked(self, event: TransferStarted | HttpAsked) -> None:
        mark = self.marks["firmware"]
        where = f"http://{event.server_ip}:{event.server_port}" if isinstance(event, HttpAsked) else ""
        text = f"{'GET' if where else 'RRQ'} {where}{event.path}"
        evidence = Evidence(source="packet", ref=event.packet, t=event.t, text=text)
        if mark.done or self._strange(event.asked_by):
            return
        self._kernel = None
        if mark.start is None:
            mark.start = event.t
            mark.evidence.append(evidence)
        self._lease.used(event, evidence)

    def _strange(self, asked_by: str) -> bool:
        """Whether another program than the board's first bootloader asks."""
        return asked_by in STRANGERS and asked_by != self._lease.client and self.marks["firmware"].start is not None

    def _delivered(self, t: float, file: TftpTransfer | HttpFetch, *, last: bool) -> None:
        """A file is there; last: it is the one after which a firmware asks for nothing more."""
        if self._strange(file.asked_by) or self.marks["firmware"].done:
            return
        text = f"{file.path} delivered, {file.bytes} bytes"
        self._last_transfer = (t, Evidence(source="packet", ref=file.last_packet, t=t, text=text))
        self._kernel = self._last_transfer if last else None

    def _root(self, event: RootConnect | NfsMount | IscsiLogin) -> None:
        mark = self.marks["root"]
        if mark.done:
            return
        if isinstance(event, RootConnect):
            text = f"connect to {event.protocol} {event.server_ip}:{event.port}"
        elif isinstance(event, IscsiLogin):
            text = f"iSCSI login to {event.server_ip} {event.target} -> {event.status:#06x}"
        else:
            text = f"MOUNT {event.server_ip}:{event.path} -> {'no reply' if event.status is None else event.status}"
        if len(mark.evidence) < 6:
            mark.evidence.append(Evidence(source="packet", ref=event.packet, t=event.t, text=text))
        if not isinstance(event, RootConnect):
            self._loss.answered(event)
        if isinstance(event, NfsMount | IscsiLogin) and event.status == 0 and not self.expectation.has_console:
            self.marks.end("root", event.t, mark.evidence[-1])

    def _milestone(self, event: Milestone) -> None:
        evidence = Evidence(source="console", ref=event.line, t=event.t, text=event.text[:200])
        if self._loss.fell(event, evidence):
            return
        if event.name in REFUSED:
            self._kernel = None
        self._loss.told(event)
        stage_name = CONSOLE_ENDS.get(event.name)
        if stage_name is None or self.lost:
            return
        if stage_name == "firmware":
            self._firmware_done(event.t, evidence)
        elif stage_name == "login" and not self.marks["userspace"].done:
            return  # a shell of the initramfs or bootloader is not a login
        elif stage_name == "userspace":
            if not self.marks["userspace"].done:
                self.marks.end("userspace", event.t, evidence)
                self.marks["login"].start = event.t
                if self.expectation.login_user is None:
                    self.marks["login"].note = "prompt seen; no login was asked for"
                    self.marks.end("login", event.t, evidence)
        else:
            self.marks.end(stage_name, event.t, evidence)

    def _firmware_done(self, t: float, evidence: Evidence) -> None:
        mark = self.marks["firmware"]
        if mark.done:
            return
        if self._last_transfer is not None and mark.start is not None:
            end, last = self._last_transfer
            self.marks.end("firmware", end, last)
            self.marks["kernel"].evidence.append(evidence)
        else:
            self.marks.end("firmware", t, evidence)
            mark.inferred = mark.start is None
