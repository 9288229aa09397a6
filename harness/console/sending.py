# SPDX-License-Identifier: GPL-2.0-or-later
"""How octets are typed: at once, or slowly for a board that has a small receive buffer and no flow control."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """char_delay: seconds for each octet sent; line_delay: seconds after each line end; chunk: octets sent at once where there is
    a char_delay, so that the system is not asked for thousands of short sleeps.
    """

    char_delay: float = 0.0
    line_delay: float = 0.0
    chunk: int = 1

    def parts(self, data: bytes) -> Iterator[tuple[bytes, float]]:
        """Pieces of `data`, each with the seconds to wait after it."""
        lines = data.splitlines(keepends=True) if self.line_delay else [data]
        size = self.chunk if self.char_delay else max(1, len(data))
        for line in lines:
            for at in range(0, len(line), size):
                piece = line[at : at + size]
                ended = self.line_delay if at + size >= len(line) and piece[-1] in b"\r\n" else 0.0
                yield piece, self.char_delay * len(piece) + ended
