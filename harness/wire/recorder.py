# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture's file: pcapng, written as the packets come. What was written stays readable whatever happens next."""

import contextlib
from pathlib import Path
from typing import BinaryIO

from harness import __version__
from harness.errors import InfraError
from harness.wire import pcapng
from harness.wire.links import ETHERNET

APPLICATION = "piboot"
"""Who wrote a file, as its section header says."""


class Recorder:
    """Appends blocks without a buffer of its own: a killed run loses nothing that was handed over.

    The first error (disk full, ...) ends the writing: the file is cut back to its last whole block, `error` says what
    happened, and everything after is a no-op. packets: in the file.
    """

    def __init__(self, path: Path) -> None:
        """Raises InfraError when the file cannot be made, or the disk is full already."""
        self.path = path
        self.error: InfraError | None = None
        self.packets = 0
        self._good = 0
        self._begun = False
        try:
            self._file: BinaryIO | None = path.open("wb", buffering=0)
        except OSError as error:
            raise self._failure(error) from error
        self._write([pcapng.section(f"{APPLICATION} {__version__}")])
        if self.error is not None:
            raise self.error

    def begin(self, name: str, link: int, snaplen: int, filter_text: str) -> None:
        """What the packets will be of."""
        self._begun = True
        self._write([pcapng.interface(name, link, snaplen, filter_text)])

    def add(self, blocks: list[bytes]) -> None:
        """Packets, as blocks of `pcapng.packet`."""
        self.packets += self._write(blocks)

    def end(self, start: float, end: float, received: int | None, dropped: int | None) -> None:
        """The statistics (times in epoch seconds), and close. A file without packets is a valid one, too."""
        if not self._begun:
            self.begin("", ETHERNET, 0, "")
        micro = round(start * 1_000_000), round(end * 1_000_000)
        self._write([pcapng.statistics(*micro, received, dropped)])
        self._close()

    def discard(self) -> None:
        """Nothing was captured, nothing is kept."""
        self._close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def _write(self, blocks: list[bytes]) -> int:
        """How many of the blocks are in the file now."""
        if self._file is None:
            return 0
        octets = rest = memoryview(b"".join(blocks))
        try:
            while rest:  # a raw file may take only a part, the last one before the disk is full
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.error = self._failure(error)
            return self._cut_back(blocks, len(octets) - len(rest))
        self._good += len(octets)
        return len(blocks)

    def _cut_back(self, blocks: list[bytes], taken: int) -> int:
        """Keep what is whole of `taken` octets of `blocks`, and close."""
        kept = 0
        while taken >= len(blocks[kept]):
            taken -= len(blocks[kept])
            self._good += len(blocks[kept])
            kept += 1
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.truncate(self._good)
        self._close()
        return kept

    def _failure(self, error: OSError) -> InfraError:
        return InfraError(
            f"cannot write the capture: {error.strerror}",
            place=str(self.path),
            remedy="make room on this disk (old runs under reports/ may go) or give another folder with --reports",
        )
