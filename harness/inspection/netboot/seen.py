# SPDX-License-Identifier: GPL-2.0-or-later
"""What was seen of a netboot server on behalf of one board. Addresses are dotted text, times seconds, sizes octets."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from harness.boot.record import Finding

State = Literal["ok", "fault", "note", "skipped"]

#: Id of the finding that a fault among the points of a root's server becomes.
ROOT_SERVER = "root-server"


@dataclass(frozen=True)
class Answer:
    """One server's answer to a DISCOVER. server: its identifier (option 54), else its address; gives: "address", "boot server",
    both with "+", or "nothing"; seconds: since the DISCOVER; described: whether `dhcp:` names it, None when that is empty.
    """

    server: str
    mac: str
    type: str
    address: str
    siaddr: str
    option_43: str | None
    option_66: str | None
    option_67: str | None
    gives: str
    seconds: float
    described: bool | None


@dataclass(frozen=True)
class Ask:
    """A DISCOVER of one of the board's programs ("rom", "bootcode.bin", "eeprom") and what came of it. takes: whether the program
    would go on with these answers; why: in words, when not; address, tftp_server: what it would take;
    interface: where it was sent.
    """

    program: str
    octets: int
    answers: tuple[Answer, ...] = ()
    takes: bool = False
    address: str | None = None
    tftp_server: str | None = None
    why: str = ""
    interface: str = ""


@dataclass(frozen=True)
class File:
    """A file that the board asks for. result: as of harness.boot.record.TftpTransfer, for a web server of HttpFetch; local: held
    against the root folder, "same", "differs", "missing", "unreadable", "" when it was not; normal: a board boots without it.
    """

    path: str
    result: str
    kind: str
    size: int
    seconds: float
    sha256: str | None = None
    local: str = ""
    normal: bool = False


@dataclass(frozen=True)
class Point:
    """One thing that was asked of a storage server. fix: what to do, "" when nothing."""

    what: str
    state: State
    said: str
    fix: str = ""


@dataclass(frozen=True)
class Look:
    """All of one board. outcome: what the board would do with the files; prefix: the folder that it would take them from;
    cmdline: what it would start its kernel with, secrets masked; root: what was asked of the root's server.
    """

    server: str
    board: str
    model: str
    asks: tuple[Ask, ...] = ()
    tftp_server: str | None = None
    prefix: str | None = None
    files: tuple[File, ...] = ()
    outcome: str = ""
    cmdline: str | None = None
    root: tuple[Point, ...] = ()
    findings: tuple[Finding, ...] = ()
    skipped: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing was found that would stop a boot."""
        return not any(finding.severity == "fault" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        plain = {**asdict(self), "findings": [finding.model_dump(mode="json") for finding in self.findings]}
        return {**plain, "ok": self.ok}
