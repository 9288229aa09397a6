# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP option values for people: name and readable value of the options that a netboot turns on (RFC 2132, 4578)."""

from harness.report.text import one_line

_NAMES = {
    1: "subnet mask",
    3: "router",
    6: "DNS server",
    12: "host name",
    15: "domain name",
    17: "root path",
    28: "broadcast",
    43: "vendor specific",
    50: "requested address",
    51: "lease time",
    53: "message type",
    54: "server identifier",
    55: "parameter list",
    57: "largest message",
    58: "renewal time",
    59: "rebinding time",
    60: "vendor class",
    61: "client identifier",
    66: "TFTP server name",
    67: "boot file name",
    82: "relay agent",
    93: "client architecture",
    94: "network interface",
    97: "client machine identifier",
    128: "TFTP server (vendor)",
    150: "TFTP server address",
}
_ADDRESSES = {1, 3, 6, 28, 50, 54, 150}
_TEXTS = {12, 15, 17, 60, 66, 67}
_SECONDS = {51, 58, 59}
_NUMBERS = {53, 57, 93}


def option(code: int, value: str) -> tuple[str, str]:
    """(name, readable value) of option `code`, whose raw value is given as hex; hex again where no more is known."""
    try:
        readable = _readable(code, bytes.fromhex(value))
    except ValueError:
        readable = value
    return _NAMES.get(code, ""), one_line(readable)


def _readable(code: int, raw: bytes) -> str:
    if code in _ADDRESSES and raw and len(raw) % 4 == 0:
        return ", ".join(".".join(map(str, raw[n : n + 4])) for n in range(0, len(raw), 4))
    if code in _TEXTS:
        return raw.decode("utf-8", "replace")
    if code in _SECONDS and len(raw) == 4:
        return f"{int.from_bytes(raw):,} s"
    if code in _NUMBERS and len(raw) in (1, 2):
        return str(int.from_bytes(raw))
    if code == 55:
        return " ".join(map(str, raw))
    printable = "".join(chr(octet) if 0x20 <= octet < 0x7F else "." for octet in raw)
    return raw.hex(" ") + (f"  {printable}" if sum(char != "." for char in printable) >= 4 else "")
