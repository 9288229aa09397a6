# SPDX-License-Identifier: GPL-2.0-or-later
"""What the EEPROM bootloader does by release date, as data: a change is one row.

Sources: rpi-eeprom release notes (firmware-2711, firmware-2712), constants and strings of released images. Values
marked I are inferred: parameters with the likely default.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import ConfigError

#: The newest release known here: what "" in a configuration means.
CURRENT = "2026-08-04"
FIRST = "2019-09-23"


@dataclass(frozen=True, slots=True)
class Release:
    """One release of the bootloader for BCM2711.

    date: "2026-08-04"; fourcc: of option 97, None for the serial number four times; blksize: asked from the TFTP
    server; word: what precedes "wait for link"; iso_banner: two banners with ISO dates; stamped: lines carry the
    seconds since power-on; block_limit: the last block number a transfer may have, 0 for none; sig_first: vl805.sig
    is asked; doubling: DHCP resends after 4, 8, 16 s instead of every 4 s; siaddr_boot: an OFFER with nothing but
    siaddr is enough; needs_class: option 43 counts only beside option 60 "PXEClient"; arp_tries, arp_wait: requests
    for the server's MAC, and seconds between them.
    """

    date: str = FIRST
    fourcc: bytes | None = None
    blksize: int = 1024
    word: str = "NET_BOOT"
    iso_banner: bool = False
    stamped: bool = False
    block_limit: int = 65535
    sig_first: bool = True
    doubling: bool = True  # I: the gaps of EE#58 (2019-11) fit doubling, those of EE#687 (2025-03) fixed 4 s
    siaddr_boot: bool = False  # I: reported as not enough (tinkerbell/smee#23), with one hint to the contrary
    needs_class: bool = False  # I: the strings stand together in the parser; raw-text option 43 was seen to work
    arp_tries: int = 5  # I
    arp_wait: float = 1.0  # I

    @property
    def version(self) -> str:
        """Eight hex digits in place of the git hash that a real banner shows."""
        return f"{zlib.crc32(self.date.encode()):08x}"


_CHANGES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("2020-03-04", {"fourcc": b"RPi4"}),
    ("2022-02-04", {"fourcc": b"4iPR"}),
    ("2022-10-03", {"blksize": 1468, "sig_first": False}),
    ("2022-11-25", {"word": "NETWORK"}),
    ("2024-04-17", {"iso_banner": True, "doubling": False}),
    ("2024-05-17", {"stamped": True}),
    ("2025-09-22", {"block_limit": 0}),
)


def release(date: str) -> Release:
    """The bootloader as released on or last before that date; "" is the current one. Raises ConfigError."""
    date = date or CURRENT
    if not re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", date) or date < FIRST:
        raise ConfigError(
            f"bootloader: {date!r} is not a release date from {FIRST} on",
            remedy=f'write it as "{CURRENT}", or leave it empty for the current release',
        )
    found = Release(date=date)
    for since, what in _CHANGES:
        if date >= since:
            found = replace(found, **what)
    return found
