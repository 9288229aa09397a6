# SPDX-License-Identifier: GPL-2.0-or-later
"""Octets of a packet as text and numbers that are safe to show: what comes over the wire is never trusted."""

MAX_TEXT = 1024
"""Characters kept of any name or message out of a packet; RFC 2347 limits a whole request to 512 octets."""


def shown(raw: bytes) -> str:
    """UTF-8 text with everything that a terminal might obey (control, bidi, undecodable) as an escape like \\x1b."""
    text = raw[:MAX_TEXT].decode("utf-8", "backslashreplace")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return text if len(raw) <= MAX_TEXT else text + "..."


def until_nul(raw: bytes) -> bytes:
    """The octets before the first NUL; all of them when there is none."""
    return raw.partition(b"\0")[0]


def mac_text(raw: bytes) -> str:
    """Six octets as "dc:a6:32:01:02:03"."""
    return raw.hex(":")


def mac_octets(text: str) -> bytes:
    """Six octets of "DC-A6-32-01-02-03" or "dc:a6:32:01:02:03". Raises ValueError for anything else."""
    octets = bytes.fromhex(text.replace(":", "").replace("-", ""))
    if len(octets) != 6:
        raise ValueError(f"not a MAC address: {text!r}")
    return octets


def ip_text(raw: bytes) -> str:
    """Four octets as dotted text."""
    return "%d.%d.%d.%d" % tuple(raw)  # noqa: UP031 - the fastest way, and it runs per packet


def decimal(text: str, low: int, high: int) -> int | None:
    """The number in ASCII decimal `text` when it is one within low..high, else None (int() would accept "1_0", " 7")."""
    if text.isascii() and text.isdigit() and len(text) <= 20:
        number = int(text)
        if low <= number <= high:
            return number
    return None
