# SPDX-License-Identifier: GPL-2.0-or-later
"""Events: one observation each, immutable. The gear makes them, the core judges them.

Times `t` are epoch seconds (float, microseconds); `packet` is the 1-based number of the packet in the boot's capture
(as Wireshark numbers it), `line` the 1-based number of the line in the boot's console log.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.boot.record import HttpFetch, TftpTransfer


@dataclass(frozen=True, slots=True)
class PowerEdge:
    """The power port was asked (`asked`) or has read back (`confirmed`) the state `on`."""

    t: float
    on: bool
    phase: Literal["asked", "confirmed"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PowerLoss:
    """What is known of the board's loss of power before this boot. proved: True, by what `detail` names; None, nobody knows."""

    t: float
    proved: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FirstFrame:
    """The first Ethernet frame with the board's MAC as source: the link is up at the latest now."""

    t: float
    packet: int
    mac: str
    ethertype: int


@dataclass(frozen=True, slots=True)
class DhcpMessage:
    """One decoded BOOTP/DHCP message (RFC 2131); addresses as dotted text, "0.0.0.0" when unset.

    type: "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM", or "BOOTREQUEST"/"BOOTREPLY"
    when option 53 is missing. options: (code, raw value) in the order on the wire, without pad and end. length:
    octets of the BOOTP payload.
    """

    t: float
    packet: int
    type: str
    xid: int
    chaddr: str
    src_mac: str
    src_ip: str
    dst_ip: str
    ciaddr: str
    yiaddr: str
    siaddr: str
    giaddr: str
    hops: int
    secs: int
    flags: int
    ttl: int
    ip_id: int
    udp_checksum: int
    src_port: int
    dst_port: int
    length: int
    options: tuple[tuple[int, bytes], ...] = ()
    sname: str = ""
    file: str = ""

    def option(self, code: int) -> bytes | None:
        """The first option `code`, or None."""
        return next((value for number, value in self.options if number == code), None)

    @property
    def from_client(self) -> bool:
        return self.dst_port == 67 and self.type not in {"OFFER", "ACK", "NAK", "BOOTREPLY"}


@dataclass(frozen=True, slots=True)
class ArpMessage:
    """An ARP request or reply (RFC 826)."""

    t: float
    packet: int
    op: Literal["request", "reply"]
    sender_mac: str
    sender_ip: str
    target_mac: str
    target_ip: str


@dataclass(frozen=True, slots=True)
class TransferStarted:
    """A TFTP read request (RRQ, RFC 1350); what became of it comes as `TransferEnded` with the same `packet`.

    asked_by: as in `TftpTransfer`; client_mac: the source of the frame ("" when not known).
    """

    t: float
    packet: int
    path: str
    client_ip: str
    client_port: int
    server_ip: str
    ttl: int
    ip_id: int
    options: tuple[tuple[str, str], ...] = ()
    asked_by: str = ""
    client_mac: str = ""


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How far a running transfer is; at most a few per second, for a person who watches."""

    t: float
    path: str
    bytes: int
    tsize: int | None


@dataclass(frozen=True, slots=True)
class TransferEnded:
    """A transfer is over: complete, refused, ended early by the client, or given up."""

    t: float
    transfer: TftpTransfer


@dataclass(frozen=True, slots=True)
class HttpAsked:
    """An HTTP request (RFC 9112); what became of it comes as `HttpEnded`. asked_by: as in `HttpFetch`."""

    t: float
    packet: int
    path: str
    client_ip: str
    server_ip: str
    server_port: int
    asked_by: str = ""
    client_mac: str = ""


@dataclass(frozen=True, slots=True)
class HttpEnded:
    """An HTTP request is over; or nobody answered the connection for one, which no `HttpAsked` has told of."""

    t: float
    fetch: HttpFetch


@dataclass(frozen=True, slots=True)
class RootConnect:
    """The board opened a TCP connection to a storage service (SYN): nfs 2049, iscsi 3260, ceph 3300/6789, nbd 10809."""

    t: float
    packet: int
    protocol: str
    server_ip: str
    port: int
    client_ip: str = ""


@dataclass(frozen=True, slots=True)
class NfsMount:
    """A MOUNT v1-v3 MNT call (RFC 1813 appendix I) and its reply; status 0 is MNT3_OK, None when no reply was seen
    (yet).
    """

    t: float
    packet: int
    server_ip: str
    path: str
    status: int | None
    client_ip: str = ""


@dataclass(frozen=True, slots=True)
class IscsiLogin:
    """The outcome of an iSCSI login (RFC 7143, 11.13): status is Status-Class * 256 + Status-Detail, 0 for success; target is
    the TargetName that was asked for.
    """

    t: float
    packet: int
    server_ip: str
    target: str
    status: int
    client_ip: str = ""


@dataclass(frozen=True, slots=True)
class Milestone:
    """A console line that means something: its name (see `harness.console.milestones`) and the fields found in it."""

    t: float
    line: int
    name: str
    text: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConsoleGap:
    """The console was lost (`reason`) at byte `offset` of the log, in `line`; `back` says that it returned."""

    t: float
    offset: int
    reason: str
    back: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The real-time clock was stepped by `seconds` during the boot: durations across it are not to be trusted."""

    t: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Noted:
    """Something about this boot that a reader should know, and that no stage shows: in what state the board was found, say."""

    t: float
    text: str


@dataclass(frozen=True, slots=True)
class SoftReboot:
    """The running system was asked to reboot: this boot begins without an edge of the board's power."""

    t: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Began:
    """A boot began that somebody else started; `text`: what showed it."""

    t: float
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The watch ended: why ("login", "deadline", "infra", "stopped"), and what was awaited or went wrong."""

    t: float
    reason: str
    detail: str = ""
    remedy: str = ""


Event = (
    PowerEdge
    | PowerLoss
    | FirstFrame
    | DhcpMessage
    | ArpMessage
    | TransferStarted
    | TransferProgress
    | TransferEnded
    | HttpAsked
    | HttpEnded
    | RootConnect
    | NfsMount
    | IscsiLogin
    | Milestone
    | ConsoleGap
    | ClockStep
    | Noted
    | SoftReboot
    | Began
    | Ended
)
