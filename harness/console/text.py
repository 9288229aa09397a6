# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes of a serial console -> text that is safe to print, to match and to put into a report.

Nothing here raises on any input. Escape sequences (ECMA-48 CSI, OSC and friends) are removed; NUL, DEL and other
controls go, tab becomes a space, octets that are not UTF-8 stay visible as `\\xNN`.
"""

import re
from itertools import pairwise

#: CSI sequences that move the cursor to another line or clear the screen: UEFI and GRUB lay out their text with them
#: and print no line ends, so they part two texts.
_MOVE = re.compile(rb"\x1b\[[0-9;]{0,16}[Hf]|\x1b\[[0-3]?J|\x1bc")

#: All other escape sequences, also one that the end of the text cuts off.
_ESCAPE = re.compile(
    rb"\x1b(?:"
    rb"\[[0-?]{0,64}[ -/]{0,8}(?:[@-~]|$)"  # CSI
    rb"|[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\|\x1b?$)"  # OSC, DCS, SOS, PM, APC up to BEL or ST
    rb"|[ -/]{1,4}(?:[0-~]|$)"  # charset selection and the like
    rb"|[0-~]"
    rb"|$)"
    rb"|\x1b"
    rb"|(?<=\xe2\x80\xa6)(?:\[[0-9;]{0,8}|[0-9;]{1,8})m"  # the rest of one that systemd cut in two with an ellipsis
)

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

#: The stamp of a kernel record, with or without the caller's id (CONFIG_PRINTK_CALLER).
PRINTK = re.compile(rb"\[ {0,5}\d{1,9}\.\d{6}\](?=[ \[]|$)")


def clean(raw: bytes) -> str:
    """`raw` as printable text of one line, without a line end."""
    if b"\x1b" in raw:
        raw = _ESCAPE.sub(b"", raw)
    text = raw.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return _CONTROLS.sub("", text.replace("\t", " ").replace("\n", " "))


def pieces(raw: bytes) -> list[tuple[int, bytes]]:
    """Parts of one physical line that are lines of their own: (offset, bytes).

    Parted are kernel records ("... ram0 [    2.157614]  (driver?)", "MESS:00:00:07.146055:0:[    0.000000] Booting") and
    texts that the cursor was moved between.
    """
    cuts = {0}
    if b"\x1b" in raw:
        cuts.update(match.end() for match in _MOVE.finditer(raw))
    if b"[" in raw:
        cuts.update(match.start() for match in PRINTK.finditer(raw))
    if len(cuts) == 1:
        return [(0, raw)]
    edges = [*sorted(cuts), len(raw)]
    return [(start, raw[start:end]) for start, end in pairwise(edges) if end > start]
