# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot record: all that is known of one boot, as it stands in `record.json`.

Times are epoch seconds (float, microseconds), durations seconds, sizes octets. `SCHEMA` rises when a reader of an
older version would read a newer one wrongly.
"""

from typing import Any, Literal

from pydantic import Field

from harness.boot.exchanges import DhcpExchange, DhcpStep, HttpFetch, TftpTransfer
from harness.boot.part import Evidence, Part

__all__ = [
    "SCHEMA",
    "BootRecord",
    "CaptureClock",
    "CaptureInfo",
    "ConsoleInfo",
    "DhcpExchange",
    "DhcpStep",
    "Evidence",
    "Finding",
    "Gap",
    "HttpFetch",
    "KernelSeen",
    "MilestoneSeen",
    "OsSeen",
    "Part",
    "PowerLossSeen",
    "Rate",
    "RootSeen",
    "Stage",
    "StageVerdict",
    "TftpTransfer",
]

SCHEMA = 1

StageVerdict = Literal["passed", "late", "failed", "not reached", "unseen", "not asked"]


class Stage(Part):
    """One stage.

    verdict: "passed"; "late" (done, but over its budget); "failed"; "not reached" (an earlier one failed); "unseen" (passed
    over without evidence of its own, e.g. no console); "not asked" (the boot was to be followed only so far).
    """

    name: str
    start: float | None = None
    end: float | None = None
    duration_s: float | None = None
    budget_s: float | None = None
    verdict: StageVerdict = "not reached"
    evidence: tuple[Evidence, ...] = ()
    note: str = ""


class Finding(Part):
    """A named cause. who: "server", "board", "lab", "config", "network"; severity: "fault" explains a failure,
    "warning" does not.
    """

    id: str
    title: str
    stage: str
    who: str
    remedy: str
    severity: Literal["fault", "warning"] = "fault"
    evidence: tuple[Evidence, ...] = ()


class MilestoneSeen(Part):
    name: str
    t: float
    line: int
    text: str
    fields: dict[str, str] = Field(default_factory=dict)


class RootSeen(Part):
    """What the wire and the running system say of the root file system. source e.g. "10.77.0.1:/srv/nfs/91cdf03d"; fstype and
    options as in /proc/mounts; boot_source: what is mounted on /boot/firmware or /boot; servers: all that
    connections of the root's protocol went to (iSCSI portals, Ceph monitors)."""

    protocol: str | None = None
    server: str | None = None
    servers: tuple[str, ...] = ()
    path: str | None = None
    status: int | None = None
    source: str | None = None
    fstype: str | None = None
    options: str | None = None
    boot_source: str | None = None
    evidence: tuple[Evidence, ...] = ()


class KernelSeen(Part):
    """Which kernel started: release as `uname -r`, build as `uname -v` ("#1 SMP Debian 6.1.176-1 (2026-07-02)").

    said_by: "console" (its line "Linux version"), or "uname" of a kernel that was quiet.
    """

    release: str
    build: str | None = None
    said_by: Literal["console", "uname"]
    evidence: tuple[Evidence, ...] = ()


class OsSeen(Part):
    """What the running system said after the login; None where it was not asked or did not answer."""

    kernel_release: str | None = None
    kernel_build: str | None = None
    cmdline: str | None = None
    state: str | None = None
    failed_units: tuple[str, ...] | None = None


class CaptureClock(Part):
    """The clock of another host that captured, held against ours: ahead by offset_s ± uncertainty_s at the start (the packets'
    stamps are corrected by it); moved by drift_s until the end (None: it could not be asked then); stepped: more than a clock
    drifts.
    """

    host: str
    offset_s: float
    uncertainty_s: float
    drift_s: float | None = None
    stepped: bool = False


class CaptureInfo(Part):
    """packets: written to `file`; received: counted by the kernel's filter; dropped: lost for want of buffer; filter:
    pcap-filter(7) text; clock: of the host that captured, when it is another.
    """

    packets: int
    dropped: int
    received: int | None = None
    file: str = "capture.pcapng"
    interface: str = ""
    filter: str = ""
    complete: bool = True
    clock: CaptureClock | None = None


class PowerLossSeen(Part):
    """How it was proven that the board lost its power before this boot. proved: true, by what `text` names ("link down", "PoE
    class gone", "console silent"); null: nobody can know, and `text` says why.
    """

    t: float
    proved: bool | None
    text: str


class Gap(Part):
    """The console was away. start: when that was noticed; end: when it was back, None when it never was; why, back: what was said
    of both; line, offset: where in console.log, octets; stages: those that may have said something unheard.
    """

    start: float
    end: float | None = None
    why: str = ""
    back: str = ""
    line: int = 0
    offset: int = 0
    stages: tuple[str, ...] = ()


class Rate(Part):
    """The console's rate was changed. t: epoch seconds; baud: the new one; offset: where in console.log, octets."""

    t: float
    baud: int
    offset: int = 0


class ConsoleInfo(Part):
    """binary: of `bytes`, those that are no text (see `harness.console.garbage`); gaps: when it was away; rates: its changes."""

    file: str = "console.log"
    bytes: int = 0
    lines: int = 0
    binary: int = 0
    gaps: tuple[Gap, ...] = ()
    rates: tuple[Rate, ...] = ()


class BootRecord(Part):
    """All of one boot. verdict: "passed", "failed(<stage>)", "infra" or "config"; notes: remarks of the harness."""

    schema_version: int = SCHEMA
    harness_version: str = ""
    board: str
    model: str
    serial_number: str = ""
    mac: str = ""
    started: float
    ended: float
    duration_s: float
    verdict: str
    failed_stage: str | None = None
    reason: str = ""
    stages: tuple[Stage, ...] = ()
    dhcp: tuple[DhcpExchange, ...] = ()
    tftp: tuple[TftpTransfer, ...] = ()
    http: tuple[HttpFetch, ...] = ()
    root: RootSeen | None = None
    kernel: KernelSeen | None = None
    os: OsSeen | None = None
    milestones: tuple[MilestoneSeen, ...] = ()
    capture: CaptureInfo | None = None
    console: ConsoleInfo | None = None
    power_loss: PowerLossSeen | None = None
    machine: dict[str, Any] | None = None
    clock_step_s: float = 0.0
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    artefacts: dict[str, str] = Field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"

    def stage(self, name: str) -> Stage:
        """The stage `name`; KeyError when there is no such stage."""
        return {stage.name: stage for stage in self.stages}[name]
