# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of what a console sent is no text: at a wrong baud rate more than half is, at the right one next to nothing.

Measured on console text sent at 9600 to 1500000 baud and sampled at another one of these rates: 53 to 100 % of the octets are
controls or no UTF-8 (tests/console/uart.py), whatever the pair; real logs have 0 to 2 %.
"""

#: What a console's text is made of, beside UTF-8: printable ASCII, BEL, BS, TAB, LF, FF, CR, ESC.
_TEXT = bytes((*range(0x20, 0x7F), 0x07, 0x08, 0x09, 0x0A, 0x0C, 0x0D, 0x1B))
_CONTROLS = bytes(octet for octet in range(0x80) if octet not in _TEXT)

#: Octets that are judged together, so that an hour of good text does not hide a minute of the other.
BLOCK = 64

#: Of a block, the part that must be no text.
SHARE = 0.3


class Garbage:
    """Feed it all that comes, in any pieces; `octets` is how many stand in blocks that are no text."""

    def __init__(self) -> None:
        self._whole = 0
        self._block = b""

    def feed(self, data: bytes) -> None:
        data = self._block + data
        end = len(data) - len(data) % BLOCK
        if _no_text(data[:end]):
            self._whole += sum(BLOCK for at in range(0, end, BLOCK) if _is_garbage(data[at : at + BLOCK]))
        self._block = data[end:]

    @property
    def octets(self) -> int:
        return self._whole + (len(self._block) if _is_garbage(self._block) else 0)


def _no_text(data: bytes) -> bytes:
    return data.translate(None, _TEXT)


def _is_garbage(block: bytes) -> bool:
    controls = len(block) - len(block.translate(None, _CONTROLS))
    torn = len(block) - len(block.decode("utf-8", "ignore").encode())
    return controls + torn > SHARE * len(block)
