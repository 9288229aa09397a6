# SPDX-License-Identifier: GPL-2.0-or-later
"""The packets that scapy reads: BOOTP, ARP, TFTP requests, option acknowledgements and errors.

scapy takes 0.3 s to import, so it is imported with the first packet that needs it (or by `warm`), and only the layers
that are used. It takes 50 µs per packet: DATA and ACK never come here.

Every function raises `Malformed` for octets that do not make sense, and nothing else.
"""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeVar

from harness.wire.text import shown

T = TypeVar("T")


class Malformed(Exception):  # noqa: N818 - a finding about a packet, never shown as an error
    """What is wrong with a packet."""


class Layers(NamedTuple):
    """scapy's packet classes."""

    bootp: Any
    arp: Any
    request: Any
    oack: Any
    error: Any


@cache
def warm() -> Layers:
    """Import what is needed of scapy; later calls cost nothing."""
    # scapy looks for libpcap, routes and weak ciphers while it is imported and complains about each on stderr.
    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from scapy.layers.dhcp import BOOTP  # noqa: PLC0415
        from scapy.layers.l2 import ARP  # noqa: PLC0415
        from scapy.layers.tftp import TFTP_ERROR, TFTP_OACK, TFTP_RRQ  # noqa: PLC0415
    return Layers(BOOTP, ARP, TFTP_RRQ, TFTP_OACK, TFTP_ERROR)


def _guard(what: str, read: Callable[[], T]) -> T:
    """What `read` gives; whatever scapy thinks of hostile octets (struct.error, IndexError, ...) as Malformed."""
    try:
        return read()
    except Malformed:
        raise
    except Exception as error:
        raise Malformed(f"{what}: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class Bootp:
    """Header of a BOOTP message (RFC 951, 2131); `options` begins with the magic cookie when there is one."""

    op: int
    htype: int
    hlen: int
    hops: int
    xid: int
    secs: int
    flags: int
    ciaddr: str
    yiaddr: str
    siaddr: str
    giaddr: str
    chaddr: bytes
    sname: bytes
    file: bytes
    options: bytes


def bootp(payload: bytes) -> Bootp:
    if len(payload) < 236:
        raise Malformed(f"BOOTP of {len(payload)} octets; the header alone takes 236")

    def read() -> Bootp:
        # The header only: options are walked by us, as scapy gives names and parsed values and stops at the first lie.
        packet = warm().bootp(payload[:236])
        return Bootp(
            op=int(packet.op),
            htype=int(packet.htype),
            hlen=int(packet.hlen),
            hops=int(packet.hops),
            xid=int(packet.xid),
            secs=int(packet.secs),
            flags=int(packet.flags),
            ciaddr=str(packet.ciaddr),
            yiaddr=str(packet.yiaddr),
            siaddr=str(packet.siaddr),
            giaddr=str(packet.giaddr),
            chaddr=bytes(packet.chaddr),
            sname=bytes(packet.sname),
            file=bytes(packet.file),
            options=payload[236:],
        )

    return _guard("BOOTP", read)


@dataclass(frozen=True, slots=True)
class Arp:
    """ARP for IPv4 over Ethernet."""

    op: int
    sender_mac: str
    sender_ip: str
    target_mac: str
    target_ip: str


def arp(payload: bytes) -> Arp | None:
    """None for ARP of other networks than IPv4 on Ethernet."""
    if len(payload) < 28:
        raise Malformed(f"ARP of {len(payload)} octets; IPv4 on Ethernet takes 28")
    if payload[:6] != b"\x00\x01\x08\x00\x06\x04":
        return None

    def read() -> Arp:
        packet = warm().arp(payload[:28])
        return Arp(int(packet.op), packet.hwsrc, packet.psrc, packet.hwdst, packet.pdst)

    return _guard("ARP", read)


@dataclass(frozen=True, slots=True)
class Request:
    """A TFTP read request, its text made safe to show; options' names in lower case (RFC 2347: case does not count)."""

    path: str
    mode: str
    options: tuple[tuple[str, str], ...]


MAX_REQUEST = 512
"""Octets of a request packet (RFC 2347)."""


def request(payload: bytes) -> Request:
    """`payload` follows the opcode."""
    if payload.count(0, 0, MAX_REQUEST) < 2:
        raise Malformed(f"read request without file name and mode: {shown(payload[:64])}")

    def read() -> Request:
        packet = warm().request(payload[:MAX_REQUEST])
        return Request(shown(packet.filename), shown(packet.mode).lower(), _options(packet.payload))

    return _guard("read request", read)


def oack(payload: bytes) -> tuple[tuple[str, str], ...]:
    """The options that the server agreed to; `payload` follows the opcode."""
    # scapy takes octets without a NUL at the end for one more option; a NUL too few is the server's fault.
    if payload[:MAX_REQUEST].count(0) % 2:
        raise Malformed(f"option acknowledgement with a name but no value: {shown(payload[:64])}")
    return _guard("option acknowledgement", lambda: _options(warm().oack(payload[:MAX_REQUEST]).payload))


def error(payload: bytes) -> tuple[int, str]:
    """(code, text) of a TFTP error; `payload` follows the opcode."""
    if len(payload) < 2:
        raise Malformed("TFTP error without a code")

    def read() -> tuple[int, str]:
        if 0 not in payload[2:]:  # scapy gives no text then; some servers forget the NUL
            return int.from_bytes(payload[:2]), shown(payload[2:])
        packet = warm().error(payload)
        return int(packet.errorcode), shown(packet.errormsg)

    return _guard("TFTP error", read)


def _options(packet: Any) -> tuple[tuple[str, str], ...]:
    pairs = getattr(packet, "options", None) or ()
    return tuple((shown(pair.oname).lower(), shown(pair.value)) for pair in pairs if pair.oname)
