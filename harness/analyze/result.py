# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said of a board that was seen in somebody's files (`piboot analyze --json`).

Times are epoch seconds in a capture and seconds since the log's start on a console, which has no clock; sizes octets.
"""

from typing import Literal

from pydantic import Field

from harness.boot.record import DhcpExchange, Evidence, Finding, HttpFetch, Part, TftpTransfer
from harness.boot.stages import STAGES

SCHEMA = 1

#: Another boot loader had the board at the end: not a failure, and not a Pi's own stage.
PAYLOADS = ("u-boot", "uefi", "ipxe", "pxe")

OUTCOMES: tuple[str, ...] = (
    *STAGES[1:],
    *(f"failed({stage})" for stage in STAGES[1:]),
    *(f"waiting({stage})" for stage in STAGES[1:]),
    *PAYLOADS,
    "rpiboot",
    "eeprom-updated",
    "unknown",
)
"""All that `outcome` can be: the last stage that was reached with nothing against it; failed(stage); waiting(stage): the
files end while the board waits for it; another boot loader that has it; rpiboot: it waits for a USB host; eeprom-updated:
recovery.bin has written the EEPROM; unknown: nothing tells."""


class StageSeen(Part):
    """A stage that shows in the files. state: "reached", "failed" or "waiting"; t: of its first evidence."""

    name: str
    state: Literal["reached", "failed", "waiting"]
    t: float | None = None
    evidence: tuple[Evidence, ...] = ()


class DhcpSeen(Part):
    """A DHCP exchange on the wire, or as the bootloader tells it on the console (then without xid and types)."""

    source: Literal["wire", "console"]
    client: str
    asked_by: str = ""
    mac: str = ""
    xid: int | None = None
    vendor_class: str = ""
    start: float
    duration_s: float = 0.0
    discovers: int = 0
    result: str
    address: str | None = None
    server: str | None = None
    servers_seen: tuple[str, ...] = ()
    tftp_server: str | None = None
    tftp_from: str | None = None
    types: tuple[str, ...] = ()
    ref: int = 0

    @classmethod
    def of(cls, exchange: DhcpExchange) -> "DhcpSeen":
        return cls(
            source="wire",
            types=tuple(message.type for message in exchange.messages[:100]),
            ref=exchange.messages[0].packet if exchange.messages else 0,
            **exchange.model_dump(exclude={"messages", "end"}),
        )


class TftpSeen(Part):
    """A file that was asked for. result as in the boot record, or "" where the console does not tell; normal: a board of
    this model boots well without it; ref: packet or line.
    """

    source: Literal["wire", "console"]
    path: str
    result: str
    kind: str = "get"
    asked_by: str = ""
    normal: bool = False
    client_ip: str = ""
    server_ip: str = ""
    start: float = 0.0
    duration_s: float = 0.0
    bytes: int = 0
    tsize: int | None = None
    blksize: int | None = None
    oack: bool | None = None
    retransmissions: int = 0
    error_code: int | None = None
    error_text: str = ""
    sha256: str | None = None
    ref: int = 0

    @classmethod
    def of(cls, transfer: TftpTransfer, *, normal: bool) -> "TftpSeen":
        values = transfer.model_dump(include=set(cls.model_fields))
        return cls(source="wire", normal=normal, ref=transfer.first_packet, **values)


class BoardSeen(Part):
    """One board's newest boot in the files.

    kind: "raspberry-pi", or the client that it is instead: "u-boot", "uefi", "ipxe", "pxe", "os"; "unknown". model: a name of
    `harness.models` and more (revision-codes), "unknown"; model_certain: False when only its family is known and `model` its
    usual member; family: "rom" (Pi 1 to 3), "bcm2711", "bcm2712" or ""; model_evidence: the signs. bootloader_date: ISO, from
    the console; bootloader_since/_before: what the wire tells of it. programs: who was at work, in order. boots: how many
    the files hold; earlier: outcomes of those before the newest.
    """

    schema_version: int = SCHEMA
    files: tuple[str, ...]
    kind: str
    model: str = "unknown"
    model_certain: bool = False
    family: str = ""
    model_evidence: tuple[str, ...] = ()
    bootloader_date: str | None = None
    bootloader_since: str | None = None
    bootloader_before: str | None = None
    serial_number: str | None = None
    revision: str | None = None
    mac: str | None = None
    programs: tuple[str, ...] = ()
    stages: tuple[StageSeen, ...] = ()
    outcome: str = "unknown"
    failed_stage: str | None = None
    reason: str = ""
    boots: int = 1
    earlier: tuple[str, ...] = ()
    dhcp: tuple[DhcpSeen, ...] = ()
    tftp: tuple[TftpSeen, ...] = ()
    http: tuple[HttpFetch, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = Field(default=())
