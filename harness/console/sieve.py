# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's output made fit for a person's terminal: what programs need passes (colours, cursor, screens), what acts on the
person's machine or types in their name does not.

Kept out: OSC (clipboard, window titles, links), DCS, SOS, PM and APC strings, window operations, device attributes and ENQ (the
terminal would answer them as if typed), printing, mouse and focus reports, soft reset, character sets that garble, C1 controls,
invisible and direction-changing characters. Sources: ECMA-48, xterm's ctlseqs.
"""

import codecs
import re

_ESC = "\x1b"
#: Longest control string that is waited for, characters; and longest CSI sequence.
_STRING, _SEQUENCE = 4096, 64

_PASS = frozenset("\t\n\v\f\r\b\a")
#: Cursor movement, erasing, inserting, scrolling, colours, scroll region, save and restore (ECMA-48 section 8.3, DEC).
_FINALS = frozenset("ABCDEFGHIJKLMPSXZ`abdefgmrsu@T")
_PRIVATE = frozenset({1, 5, 6, 7, 12, 25, 47, 1047, 1048, 1049, 2004})
_PLAIN_MODES = frozenset({4, 20})
_AFTER_ESC = frozenset("78DEMHc=>")
_SETS = frozenset("0AB")
_HARMFUL = re.compile(
    "[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


class Sieve:
    """Feed it octets as they come; a sequence may be cut in two anywhere. Control strings are swallowed up to their end, a line's
    end, or 4,096 characters: what follows is shown."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._state = self._ground
        self._held = ""
        self._out: list[str] = []
        self._set: set[int] = set()
        self._styled = False

    def feed(self, data: bytes) -> bytes:
        text = self._decoder.decode(data)
        if self._state == self._ground and _ESC not in text and _HARMFUL.search(text) is None:
            return text.encode()  # nearly always; a flood must not take a second for each megabyte
        for char in text:
            self._state(char)
        out, self._out = "".join(self._out), []
        return out.encode()

    def restore(self) -> bytes:
        """What brings a terminal back that was left in the middle of a full-screen program."""
        # On by default: wrap (7) and the cursor (25). The screen last, for its own cursor is restored with it.
        undo = [f"{_ESC}[?{mode}{'h' if mode in {7, 25} else 'l'}" for mode in sorted(self._set)]
        return "".join([f"{_ESC}[m{_ESC}(B{_ESC}[r" if self._styled else "", *undo]).encode()

    def _ground(self, char: str) -> None:
        if char == _ESC:
            self._held, self._state = "", self._escape
        elif char in _PASS or _HARMFUL.match(char) is None:
            self._out.append(char)
        elif char > "\x9f":
            self._out.append("\ufffd")

    def _escape(self, char: str) -> None:
        if char == "[":
            self._held, self._state = "", self._csi
        elif char in "]PX^_k":  # k: GNU screen's title
            self._held, self._state = "", self._string
        elif " " <= char <= "/":
            self._held += char
            if len(self._held) > 2:
                self._state = self._ground
        else:
            self._state = self._ground
            if char == _ESC:
                self._state, self._held = self._escape, ""
            elif char < " ":
                self._ground(char)
            elif (not self._held and char in _AFTER_ESC) or (self._held in {"(", ")"} and char in _SETS):
                self._styled = True
                self._out.append(f"{_ESC}{self._held}{char}")

    def _csi(self, char: str) -> None:
        if char == _ESC:
            self._held, self._state = "", self._escape
        elif char < " " or char > "~":
            self._state = self._ground
            self._ground(char)
        elif "@" <= char <= "~":
            self._state = self._ground
            self._out.append(self._sequence(self._held, char))
        else:
            self._held += char
            if len(self._held) > _SEQUENCE:
                self._state = self._ground

    def _string(self, char: str) -> None:
        self._held += char
        if char == _ESC:
            self._state = self._string_end
        elif char in "\a\n\r\x18\x1a\x9c" or len(self._held) > _STRING:
            self._state = self._ground
            if char in "\n\r":
                self._ground(char)

    def _string_end(self, char: str) -> None:
        self._state = self._ground
        if char != "\\":
            self._held = ""
            self._escape(char) if char != _ESC else self._ground(char)

    def _sequence(self, body: str, final: str) -> str:
        """A CSI sequence, or what is left of it."""
        plain = re.fullmatch(r"([?]?)((?:\d{0,5}(?:[;:]|$))*)", body)
        if plain is None:
            return ""
        private, parameters = plain[1], plain[2]
        numbers = [int(number) for number in re.findall(r"\d+", parameters)]
        if final in "hl":
            allowed = _PRIVATE if private else _PLAIN_MODES
            kept = [number for number in numbers if number in allowed]
            if private:
                self._modes(kept, on=final == "h")
            return f"{_ESC}[{private}{';'.join(map(str, kept))}{final}" if kept else ""
        if private:
            return f"{_ESC}[{body}{final}" if final in "JK" else ""
        if final == "n":  # where the cursor is, which getty and resize ask for; whether the terminal is well
            return f"{_ESC}[{body}n" if numbers in ([5], [6]) else ""
        if final not in _FINALS or (final == "T" and len(numbers) > 1):  # T with five numbers tracks the mouse
            return ""
        self._styled = True
        return f"{_ESC}[{body}{final}"

    def _modes(self, modes: list[int], *, on: bool) -> None:
        for mode in modes:
            usual = mode in {7, 25}
            (self._set.discard if on == usual else self._set.add)(mode)
