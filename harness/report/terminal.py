# SPDX-License-Identifier: GPL-2.0-or-later
"""The terminal behind a live view: whether it is one, and a stream whose troubles end at the view."""

import io
import os
from typing import IO, TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console


class Shield(io.TextIOBase):
    """The stream behind a view, without its troubles: what cannot be written is dropped, for good after an OSError.

    (rich ends the whole process when its stream is a broken pipe; here only the view is to end.)
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def fit(self, line: str) -> str:
        """`line` in what the stream can encode."""
        return line.encode(self._encoding, "replace").decode(self._encoding, "replace")

    def write(self, line: str) -> int:
        try:
            if self._stream is not None:
                self._stream.write(self.fit(line))
        except (OSError, ValueError):  # ValueError: it was closed
            self._stream = None
        return len(line)

    def flush(self) -> None:
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def isatty(self) -> bool:
        return self._stream is not None and is_terminal(self._stream)

    def fileno(self) -> int:
        if self._stream is None:
            raise io.UnsupportedOperation("the stream is gone")
        return self._stream.fileno()


def is_terminal(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that understands cursor movements."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    except (OSError, ValueError):
        return False


def make_console(stream: Shield, *, terminal: bool | None = None) -> "Console":
    """A rich console that takes no markup and colours nothing by guesswork; NO_COLOR is honoured by rich itself."""
    from rich.console import Console  # noqa: PLC0415

    return Console(file=cast("IO[str]", stream), force_terminal=terminal, markup=False, highlight=False, emoji=False)
