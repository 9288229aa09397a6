# SPDX-License-Identifier: GPL-2.0-or-later
"""TFTP's messages as a board writes and reads them (RFC 1350, 2347-2349). No octets raise."""

from dataclasses import dataclass

TFTP_PORT = 69
RRQ, DATA, ACK, ERROR, OACK = 1, 3, 4, 5, 6
EARLY_TERMINATE = b"\0\x05\0\0Early terminate\0"
TOO_LARGE = b"\0\x05\0\x03File is too large\0"
BAD_OACK = b"\0\x05\0\x08BAD OACK\0"


@dataclass(frozen=True, slots=True)
class Server:
    """Where requests go. mac: of the server, or of the gateway towards it."""

    mac: bytes
    ip: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """file_timeout: seconds for the whole file; idle_timeout: seconds without a new block; block_limit: the last block
    number that can be told apart, 0 for none; largest: bytes. repeats_hang: a repeated DATA block is taken for the next one, as
    by start4.elf of 2021-09-28: every later block is answered with that ACK, and the file never ends (firmware issue 1631).
    repeats_again: a repeated block is acknowledged again (bootloader release notes 2021-02-16), else it is passed over.
    """

    file_timeout: float = 30.0
    idle_timeout: float = 30.0
    block_limit: int = 0
    largest: int = 256 << 20
    repeats_hang: bool = False
    repeats_again: bool = True


def request(path: bytes, blksize: int, *, plain: bool = False) -> bytes:
    """An RRQ payload; blksize 0 asks for nothing but the size; plain asks for nothing at all, as boot ROMs do."""
    asked = b"" if plain else b"tsize\x000\x00" + (b"blksize\x00%d\x00" % blksize if blksize else b"")
    return b"\0\x01" + path.split(b"\0")[0] + b"\0octet\0" + asked


def agreed(oack: bytes) -> tuple[int, int]:
    """(tsize, blksize) of an OACK: 512 when it does not name the latter, -1 for what is not there or no number."""
    words = oack[2:].split(b"\0")
    options = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=False)}
    return _decimal(options.get(b"tsize")), _decimal(options.get(b"blksize", b"512"))


def error_of(payload: bytes) -> tuple[int, bytes]:
    """(code, text) of an ERROR of at least four octets."""
    return payload[2] << 8 | payload[3], payload[4:].split(b"\0")[0]


def _decimal(text: bytes | None) -> int:
    """A decimal number of at most 18 digits, else -1."""
    return int(text) if text and text.isdigit() and len(text) <= 18 else -1
