# SPDX-License-Identifier: GPL-2.0-or-later
"""Words and numbers for people: durations, sizes, rates, times; and text of strangers made harmless.

Durations in seconds, sizes in octets, rates in octets per second, times in epoch seconds. Units are decimal (1 kB =
1,000 octets), as TFTP rates are usually given. Nothing here raises for odd input (None, NaN, infinity, control bytes).
"""

import math
import re
from datetime import datetime

DASH = "\u2013"  # en dash

# Terminated control strings only: an unterminated OSC would otherwise swallow (hide) the rest of a console line.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC: window titles, hyperlinks
    r"|\x1b[PX^_][^\x1b]*\x1b\\"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-Z\\^-~]"  # two-octet escapes: charset, save cursor, reset
)
# C0 without tab and newline, DEL, C1, invisible and direction-changing characters, surrogates, non-characters: none
# of them may reach a terminal, a page or an XML file.
_UNSAFE = re.compile(
    "([\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff])\\1*"
)
_SHOWN_PLAINLY = 3  # so many equal control characters in a row are shown one by one


def _visible(match: re.Match[str]) -> str:
    char, count = match.group(1), len(match.group())
    code = ord(char)
    shown = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return shown * count if count <= _SHOWN_PLAINLY else f"{shown}{{{count}}}"


def clean(text: str) -> str:
    """`text` without ANSI sequences, with every other control character visible: NUL as \\x00, forty as \\x00{40}.
    Tab and newline stay.
    """
    return text if text.isprintable() else _UNSAFE.sub(_visible, _ANSI.sub("", text))


def one_line(text: str, limit: int = 400) -> str:
    """`clean`, in one line, with white space squeezed and at most `limit` characters (the end cut, marked by "…")."""
    line = " ".join(clean(text[: 8 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def shorten_middle(text: str, limit: int) -> str:
    """At most `limit` characters; of a path, the end tells more than the beginning, so the middle is cut."""
    if len(text) <= limit:
        return text
    head = max(1, (limit - 1) // 3)
    return text[:head] + "…" + text[len(text) - (limit - 1 - head) :]


def _usable(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def duration(seconds: float | None) -> str:
    """As "38 ms", "4.27 s", "41.3 s", "2 min 05 s", "1 h 02 min"; a dash when not known."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    sign, s = ("-", -seconds) if seconds < 0 else ("", seconds)
    if s < 0.9995:
        return "0 s" if s == 0 else f"{sign}{s * 1e6:.0f} µs" if s < 0.0005 else f"{sign}{s * 1e3:.0f} ms"
    if s < 119.95:
        return f"{sign}{s:.2f} s" if s < 9.995 else f"{sign}{s:.1f} s"
    whole = round(s)
    if whole < 3600:
        return f"{sign}{whole // 60} min {whole % 60:02d} s"
    return f"{sign}{whole // 3600} h {whole % 3600 // 60:02d} min"


def budget(seconds: float | None) -> str:
    """A budget is a round number: "15 s", "2.5 s", "90 s"."""
    return f"{seconds:g} s" if seconds is not None and math.isfinite(seconds) else DASH


def relative(t: float | None, zero: float) -> str:
    """Seconds since `zero` with milliseconds and a sign: "+12.345 s"; a dash when not known."""
    return f"{t - zero:+.3f} s" if t is not None and math.isfinite(t - zero) else DASH


def clock_time(t: float | None) -> str:
    """Local date and time with the zone's offset: "2026-11-20 21:18:48 +01:00"; a dash when not known."""
    if not _usable(t):
        return DASH
    try:
        moment = datetime.fromtimestamp(t or 0.0).astimezone()
    except (OverflowError, OSError, ValueError):
        return DASH
    return moment.isoformat(sep=" ", timespec="seconds").replace("+", " +", 1)


def size(octets: float | None) -> str:
    """As "812 B", "5.3 kB", "27.4 MB", "1.25 GB"; a dash when not known."""
    if octets is None or not math.isfinite(octets):
        return DASH
    if octets < 1000:
        return f"{octets:.0f} B"
    unit, scale = next(((u, s) for u, s in (("kB", 1e3), ("MB", 1e6)) if octets / s < 999.5), ("GB", 1e9))
    value = octets / scale
    digits = 2 if value < 9.995 and unit != "kB" else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} {unit}"


def rate(octets_per_second: float | None) -> str:
    """As "3.31 MB/s"; a dash when not known."""
    return f"{size(octets_per_second)}/s" if _usable(octets_per_second) else DASH


def count(number: int, noun: str, plural: str = "") -> str:
    """As "1 packet", "2 packets", "12,345 packets"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listing(words: list[str]) -> str:
    """As "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
