# SPDX-License-Identifier: GPL-2.0-or-later
"""What a visitor of a shared console sends: octets as they are typed, and breaks between them.

Octet 255 begins a command, as in telnet: 255 255 is the octet itself; 255 243 KEY is a break and, unless KEY is 0, that key right
after it (SysRq). Text (UTF-8) has no octet 255 and needs no escape.
"""

from dataclasses import dataclass

_COMMAND, _BREAK = 255, 243


@dataclass(frozen=True)
class Break:
    """then: the key that follows at once, b"" for none."""

    then: bytes = b""


def escaped(data: bytes) -> bytes:
    """`data` as it is sent."""
    return data.replace(b"\xff", b"\xff\xff")


def break_command(then: bytes = b"") -> bytes:
    """A break, and at most one octet after it, as it is sent."""
    return bytes((_COMMAND, _BREAK)) + (then or b"\0")


class Typed:
    """Feed it what came, in any pieces; it gives octets and breaks in their order."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes | Break]:
        data, self._pending = self._pending + data, b""
        found: list[bytes | Break] = []
        text = bytearray()
        at = 0
        while at < len(data):
            end = data.find(_COMMAND, at)
            end = len(data) if end < 0 else end
            text += data[at:end]
            command = data[end : end + 3]
            if len(command) == 1 or (len(command) == 2 and command[1] == _BREAK):
                self._pending = command
                break
            if command[1:2] == bytes((_BREAK,)):
                found += [bytes(text)] if text else []
                text.clear()
                found.append(Break(command[2:3].strip(b"\0")))
                at = end + 3
            else:
                text += command[:1]
                at = end + (2 if command[1:2] == b"\xff" else 1)
        return found + ([bytes(text)] if text else [])
