# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage tracker: follows one boot through its stages, event by event, live or from files.

A stage ends with its own evidence, or when evidence of a later stage shows that it must have passed (it is then
"unseen"). Network stages begin and end with packets and carry the kernel's stamps of those; stages of the running kernel
begin where the one before ended, so that no second of a boot is left out of the time line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.boot.events import (
    DhcpMessage,
    Event,
    FirstFrame,
    Milestone,
    NfsMount,
    PowerEdge,
    RootConnect,
    TransferEnded,
    TransferStarted,
)
from harness.boot.expect import Expectation
from harness.boot.record import STAGES, Evidence

#: Console lines after which a boot cannot go on by itself, and the earliest stage that they can belong to.
FATAL: dict[str, str] = {
    "kernel.panic": "kernel",
    "kernel.root_error": "kernel",
    "initramfs.shell": "initramfs",
    "systemd.emergency": "userspace",
    "uboot.prompt": "kernel",
}

#: A bootloader that has started its boot order anew so often, without a kernel, goes round in circles: more waiting tells nothing.
ROUNDS = 5

#: Console lines that end a stage when they are first seen, in the order of a boot.
_CONSOLE_ENDS: dict[str, str] = {
    "net.link": "link",
    "net.link_ready": "link",
    "kernel.start": "firmware",
    "kernel.init": "kernel",
    "initramfs.start": "kernel",
    "initramfs.mount_root": "initramfs",
    "initramfs.mount_done": "root",
    "kernel.nfsroot_mounted": "root",
    "systemd.start": "root",
    "systemd.welcome": "root",
    "login.prompt": "userspace",
    "shell.prompt": "login",
    "probe.value": "login",
}


@dataclass
class Mark:
    """What is known of one stage so far; `inferred` when only a later stage's evidence says that it passed."""

    name: str
    start: float | None = None
    end: float | None = None
    evidence: list[Evidence] = field(default_factory=list)
    inferred: bool = False
    note: str = ""

    @property
    def done(self) -> bool:
        return self.end is not None


@dataclass(frozen=True)
class Change:
    """A stage began or ended, for whoever watches."""

    stage: str
    what: str
    t: float


class StageTracker:
    """Feed events in the order of their times; read `marks`, `current`, `fatal` and `deadline`."""

    def __init__(self, expectation: Expectation) -> None:
        self.expectation = expectation
        self.marks = {name: Mark(name) for name in STAGES}
        self.fatal: Milestone | None = None
        self.failed_at: str | None = None
        self._last_transfer: tuple[float, Evidence] | None = None
        self._xids: set[int] = set()
        self._rounds = 0
        self._wanted = STAGES[: STAGES.index(expectation.until) + 1]

    @property
    def current(self) -> str | None:
        """The stage that is awaited now; None when all that were asked for are done."""
        return next((name for name in self._wanted if not self.marks[name].done), None)

    @property
    def finished(self) -> bool:
        return self.current is None or self.fatal is not None

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
        return max(ends) if ends else self.marks[stage].start

    def feed(self, event: Event) -> Sequence[Change]:
        """Take one event in; the changes that it made."""
        before = {name: (mark.start, mark.end) for name, mark in self.marks.items()}
        match event:
            case PowerEdge():
                self._power(event)
            case FirstFrame(mac=mac) if mac == self.expectation.mac or not self.expectation.mac:
                self._end("link", event.t, Evidence(source="packet", ref=event.packet, t=event.t, text="first frame"))
            case DhcpMessage():
                self._dhcp(event)
            case TransferStarted():
                self._transfer_started(event)
            case TransferEnded():
                self._transfer_ended(event)
            case RootConnect() | NfsMount():
                self._root(event)
            case Milestone():
                self._milestone(event)
            case _:
                pass
        changes = []
        for name, mark in self.marks.items():
            start, end = before[name]
            if start is None and mark.start is not None:
                changes.append(Change(name, "started", mark.start))
            if end is None and mark.end is not None:
                changes.append(Change(name, "ended", mark.end))
        return changes

    # -- one method for each kind of evidence ------------------------------------------------------------------------

    def _power(self, edge: PowerEdge) -> None:
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

    def _dhcp(self, message: DhcpMessage) -> None:
        if self.marks["firmware"].done or not self._of_firmware(message):
            return
        mark = self.marks["dhcp"]
        evidence = Evidence(source="packet", ref=message.packet, t=message.t, text=f"DHCP {message.type}")
        if message.from_client:
            self._xids.add(message.xid)
            self._end("link", message.t, evidence)
            if mark.start is None:
                mark.start = message.t
                mark.evidence.append(evidence)
        elif message.type in {"OFFER", "BOOTREPLY"} and len(mark.evidence) < 6:
            mark.evidence.append(evidence)
        elif message.type == "ACK" and not mark.done:
            mark.end = message.t
            mark.evidence.append(evidence)
        elif message.type == "NAK":
            mark.evidence.append(evidence)

    def _of_firmware(self, message: DhcpMessage) -> bool:
        """A bootloader's exchange: it calls itself PXEClient; an answer belongs to it by its xid."""
        if message.from_client:
            return (message.option(60) or b"").startswith(b"PXEClient:Arch:00000") or message.xid in self._xids
        return message.xid in self._xids

    def _transfer_started(self, event: TransferStarted) -> None:
        mark = self.marks["firmware"]
        evidence = Evidence(source="packet", ref=event.packet, t=event.t, text=f"RRQ {event.path}")
        if mark.done:
            return
        if mark.start is None:
            mark.start = event.t
            mark.evidence.append(evidence)
        dhcp = self.marks["dhcp"]
        if not dhcp.done:
            # A boot ROM sends no REQUEST: the OFFER that it took is the last one before its first file.
            offer = next((e for e in reversed(dhcp.evidence) if "OFFER" in e.text or "BOOTREPLY" in e.text), None)
            self._end("link", event.t, evidence)
            if offer is not None and offer.t is not None:
                dhcp.end = offer.t
                dhcp.note = "no ACK: the file request shows that the OFFER was taken"
            else:
                dhcp.end = event.t
                dhcp.inferred = True
                dhcp.note = "no DHCP on the wire: a static address, or the capture began late"

    def _transfer_ended(self, event: TransferEnded) -> None:
        if event.transfer.complete and not self.marks["firmware"].done:
            transfer = event.transfer
            text = f"{transfer.path} delivered, {transfer.bytes} bytes"
            self._last_transfer = (event.t, Evidence(source="packet", ref=transfer.last_packet, t=event.t, text=text))

    def _root(self, event: RootConnect | NfsMount) -> None:
        mark = self.marks["root"]
        if mark.done:
            return
        if isinstance(event, RootConnect):
            text = f"connect to {event.protocol} {event.server_ip}:{event.port}"
        else:
            text = f"MOUNT {event.server_ip}:{event.path} -> {'no reply' if event.status is None else event.status}"
        if len(mark.evidence) < 6:
            mark.evidence.append(Evidence(source="packet", ref=event.packet, t=event.t, text=text))
        if isinstance(event, NfsMount) and event.status == 0 and not self.expectation.has_console:
            self._end("root", event.t, mark.evidence[-1])

    def _milestone(self, event: Milestone) -> None:
        evidence = Evidence(source="console", ref=event.line, t=event.t, text=event.text[:200])
        if event.name in FATAL and self.fatal is None and self._fatal_here(event):
            self.fatal = event
            # After the last stage that is done: the power port may confirm later than a fast board fails.
            done = max((index for index, name in enumerate(STAGES) if self.marks[name].done), default=-1)
            self.failed_at = STAGES[min(max(done + 1, STAGES.index(FATAL[event.name])), len(STAGES) - 1)]
            self.marks[self.failed_at].evidence.append(evidence)
            return
        if event.name == "bootloader.restart" and self.fatal is None and not self.marks["firmware"].done:
            self._rounds += 1
            if self._rounds == ROUNDS:
                self.fatal, self.failed_at = event, "firmware" if self.marks["dhcp"].done else "dhcp"
                self.marks[self.failed_at].note = f"given up: the bootloader began its boot order anew {ROUNDS} times"
            return
        stage_name = _CONSOLE_ENDS.get(event.name)
        if stage_name is None or self.fatal is not None:
            return
        if stage_name == "firmware":
            self._firmware_done(event.t, evidence)
        elif stage_name == "login" and not self.marks["userspace"].done:
            return  # a shell of the initramfs or bootloader is not a login
        elif stage_name == "userspace":
            if not self.marks["userspace"].done:
                self._end("userspace", event.t, evidence)
                self.marks["login"].start = event.t
                if self.expectation.login_user is None:
                    self.marks["login"].note = "prompt seen; no login was asked for"
                    self._end("login", event.t, evidence)
        else:
            self._end(stage_name, event.t, evidence)

    def _fatal_here(self, event: Milestone) -> bool:
        """An `(initramfs)` text after the login, or U-Boot's prompt before anything, is not the end of this boot."""
        return not self.marks["userspace"].done or event.name == "kernel.panic"

    def _firmware_done(self, t: float, evidence: Evidence) -> None:
        mark = self.marks["firmware"]
        if mark.done:
            return
        if self._last_transfer is not None and mark.start is not None:
            end, last = self._last_transfer
            self._end("firmware", end, last)
            self.marks["kernel"].evidence.append(evidence)
        else:
            self._end("firmware", t, evidence)
            mark.inferred = mark.start is None

    def _end(self, stage: str, t: float, evidence: Evidence) -> None:
        mark = self.marks[stage]
        if mark.done:
            return
        previous: float | None = None
        for name in STAGES[: STAGES.index(stage)]:
            earlier = self.marks[name]
            if not earlier.done and name != "power":
                earlier.end = earlier.start if earlier.start is not None else (previous if previous is not None else t)
                earlier.start = earlier.start if earlier.start is not None else earlier.end
                earlier.inferred = True
                earlier.note = earlier.note or f"no evidence of its own; {stage} came after it"
            previous = earlier.end if earlier.end is not None else previous
        if mark.start is None:
            mark.start = previous if previous is not None else t
        mark.end = max(t, mark.start)
        mark.evidence.append(evidence)
