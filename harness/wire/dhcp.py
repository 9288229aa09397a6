# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP: one BOOTP packet as an event. Options keep their raw octets and their order: both matter to a Pi (the last of
options 43 and 66 wins on a boot ROM; dnsmasq may send two options 43 in one OFFER).
"""

from collections.abc import Callable

from harness.boot.events import DhcpMessage
from harness.wire import scapy_read
from harness.wire.scapy_read import Bootp
from harness.wire.text import mac_text, shown, until_nul
from harness.wire.udp import Datagram

PORTS = frozenset({67, 68, 4011})
"""BOOTP server and client; PXE's own (binl), which no Pi uses, but other boot loaders do."""

_COOKIE = b"\x63\x82\x53\x63"
_TYPES = {1: "DISCOVER", 2: "OFFER", 3: "REQUEST", 4: "DECLINE", 5: "ACK", 6: "NAK", 7: "RELEASE", 8: "INFORM"}

Options = list[tuple[int, bytes]]


def message(packet: Datagram, payload: bytes, wrong: Callable[[str], None]) -> DhcpMessage:
    """The event. Options behind a lie about a length are left out, and `wrong` is told; raises Malformed when not even
    the header is there.
    """
    header = scapy_read.bootp(payload)
    options, overload = _all_options(header, wrong)
    kind = next((value for code, value in options if code == 53), b"")
    return DhcpMessage(
        t=packet.t,
        packet=packet.number,
        type=_type(header, kind, wrong),
        xid=header.xid,
        chaddr=mac_text(header.chaddr[:6]),
        src_mac=mac_text(packet.src_mac),
        src_ip=packet.src_ip,
        dst_ip=packet.dst_ip,
        ciaddr=header.ciaddr,
        yiaddr=header.yiaddr,
        siaddr=header.siaddr,
        giaddr=header.giaddr,
        hops=header.hops,
        secs=header.secs,
        flags=header.flags,
        ttl=packet.ttl,
        ip_id=packet.ip_id,
        udp_checksum=packet.checksum,
        src_port=packet.src_port,
        dst_port=packet.dst_port,
        length=packet.size,
        options=tuple(options),
        sname="" if overload & 2 else shown(until_nul(header.sname)),
        file="" if overload & 1 else shown(until_nul(header.file)),
    )


def _type(header: Bootp, kind: bytes, wrong: Callable[[str], None]) -> str:
    if len(kind) == 1 and kind[0] in _TYPES:
        return _TYPES[kind[0]]
    if kind:
        wrong(f"DHCP message type {kind[:8].hex()} is none")
    return "BOOTREPLY" if header.op == 2 else "BOOTREQUEST"


def _all_options(header: Bootp, wrong: Callable[[str], None]) -> tuple[Options, int]:
    """(options, overload): of the options field, then of `file` and `sname` when option 52 says so (RFC 2131 4.1)."""
    if header.options[:4] != _COOKIE:
        return [], 0
    options = _walk(header.options[4:], "options", wrong)
    value = next((value for code, value in options if code == 52), b"\0")
    overload = value[0] if len(value) == 1 and value[0] in {1, 2, 3} else 0
    if overload & 1:
        options += _walk(header.file, "file", wrong)
    if overload & 2:
        options += _walk(header.sname, "sname", wrong)
    return options, overload


def _walk(field: bytes, name: str, wrong: Callable[[str], None]) -> Options:
    """The options in a field: (code, value) without pad (0), up to end (255) or the end of the field."""
    options: Options = []
    at = 0
    while at < len(field):
        code = field[at]
        if code == 255:
            break
        if code == 0:
            at += 1
            continue
        length = field[at + 1] if at + 1 < len(field) else None
        if length is None or at + 2 + length > len(field):
            wrong(f"DHCP option {code} is longer than the {name} field")
            break
        options.append((code, field[at + 2 : at + 2 + length]))
        at += 2 + length
    return options
