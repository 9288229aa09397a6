# SPDX-License-Identifier: GPL-2.0-or-later
"""What the EEPROM bootloader does by release date, as data: a change is one row.

Sources: rpi-eeprom release notes (firmware-2711, firmware-2712), constants and strings of released images. Values
marked I are inferred: parameters with the likely default.
"""

import datetime
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import ConfigError
from harness.models import FIRST_BOOTLOADER as FIRST

#: The newest release known here, by SoC: what "" in a configuration means.
CURRENT = {"BCM2711": "2026-08-04", "BCM2712": "2026-08-12"}


@dataclass(frozen=True, slots=True)
class Release:
    """One release of the bootloader.

    date: "2026-08-04"; fourcc: of option 97, None for the serial number four times; mac_in_guid: option 97 has the MAC's
    last octets; class_last: option 60 is the last of a DISCOVER; class_again: a REQUEST has it, too; padding: DHCP replies
    may have option 0; menus: of option 43, "exact" (its first entry is the text wanted), "first" (begins with it) or "any"
    entry has it; blksize: asked from the TFTP server, 0 for none; repeats_again: a repeated block is acknowledged again;
    retry_pause: seconds between two tries of the NETWORK mode; hands_uart: uart_2ndstage reaches start4.elf; word: what
    precedes "wait for link"; named: the banner names the board; iso_date: it has an ISO date, and comes before PM_RSTS;
    iso_banner: two banners; stamped: lines carry the seconds since power-on;
    block_limit: the last block number a transfer may have, 0 for none; sig_first: vl805.sig is asked; doubling: DHCP
    resends after 4, 8, 16 s instead of every 4 s; siaddr_boot: an OFFER with nothing but siaddr is enough; needs_class:
    option 43 counts only beside option 60 "PXEClient"; arp_tries, arp_wait: requests for the server's MAC, and seconds
    between them; labelled: the banner names serial number and board; skewed: the fraction in the stamps is wrong and jumps
    back; http, watchdog, netconsole: whether HTTP boot, BOOT_WATCHDOG_TIMEOUT and NETCONSOLE are known; loud: uart_2ndstage
    is on by default; real_time: kernel8_rt.img is tried; maps: overlay_map.dtb is read even when no overlay needs it;
    hangs: a Pi 5 stands still when a file times out after config.txt.
    """

    date: str = FIRST["BCM2711"]
    fourcc: bytes | None = None
    mac_in_guid: bool = True
    class_last: bool = True
    class_again: bool = False
    padding: bool = False
    menus: str = "exact"
    blksize: int = 0
    repeats_again: bool = False
    retry_pause: float = 0.017  # EE#140
    hands_uart: bool = False
    word: str = "NET_BOOT"
    named: bool = False
    iso_date: bool = False
    iso_banner: bool = False
    stamped: bool = False
    block_limit: int = 65535
    sig_first: bool = True
    doubling: bool = True  # I: the gaps of EE#58 (2019-11) fit doubling, those of EE#687 (2025-03) fixed 4 s
    siaddr_boot: bool = False  # I: reported as not enough (tinkerbell/smee#23), with one hint to the contrary
    needs_class: bool = False  # I: the strings stand together in the parser; raw-text option 43 was seen to work
    arp_tries: int = 5  # I
    arp_wait: float = 1.0  # I
    labelled: bool = False
    skewed: bool = False
    http: bool = False
    watchdog: bool = False
    netconsole: bool = False
    loud: bool = False
    real_time: bool = False
    maps: bool = True
    hangs: bool = False

    @property
    def version(self) -> str:
        """Eight hex digits in place of the git hash that a real banner shows."""
        return f"{zlib.crc32(self.date.encode()):08x}"

    @property
    def stamp(self) -> int:
        """The build's time, epoch seconds: noon of that day."""
        day = datetime.date.fromisoformat(self.date)
        return int(datetime.datetime(day.year, day.month, day.day, 12, tzinfo=datetime.UTC).timestamp())

    def prints(self, line: str) -> bool:
        """Whether a line of this beginning is in this release's images (strings by date)."""
        if self.date >= _SETTLED:
            return not line.startswith(_FORMER)
        return not any(
            line.startswith(start) and not since <= self.date < until for start, (since, until) in _LINES.items()
        )


_EVER = "9999"
#: Beginnings of lines: first release that has them, and first that has them no more.
_LINES: Mapping[str, tuple[str, str]] = {
    "DHCP src": ("2019-10-08", _EVER),
    "NETBOOT init failed": ("2020-03-04", _EVER),
    "Boot mode:": ("2020-05-15", _EVER),
    "Link ready": ("2020-05-15", _EVER),
    "NET ": ("2020-05-15", _EVER),
    "ARP ": ("2020-05-15", _EVER),
    "Restart ": ("2020-05-15", _EVER),
    "Retry ": ("2020-05-15", _EVER),
    "Stopping network": ("2020-10-28", _EVER),
    "PHY ID": ("2021-10-27", _EVER),
    "DHCP complete": (FIRST["BCM2711"], "2020-05-15"),
    "TFTP ERROR:": (FIRST["BCM2711"], "2020-01-09"),
}
_SETTLED = max(date for dates in _LINES.values() for date in dates if date != _EVER)
_FORMER = tuple(start for start, (_since, until) in _LINES.items() if until != _EVER)
_Changes = tuple[tuple[str, Mapping[str, Any]], ...]
_CHANGES_2711: _Changes = (
    ("2019-10-08", {"blksize": 1024}),
    ("2019-10-16", {"menus": "first"}),
    ("2019-12-03", {"menus": "any"}),  # EE#60
    ("2020-01-17", {"padding": True}),  # EE#82
    # Option 60: last, and in DISCOVERs alone (EE#58, EE#87); otherwise on a Pi 400 (2020-11). That it came with EE#87's other
    # wish, the new option 97, is inferred.
    ("2020-03-04", {"fourcc": b"RPi4", "mac_in_guid": False, "class_last": False, "class_again": True}),
    ("2020-03-16", {"mac_in_guid": True}),
    ("2020-05-15", {"netconsole": True, "named": True}),  # netconsole: S; named: between 2019-09-10 and 2021-02, I
    ("2020-06-03", {"retry_pause": 5.0}),
    ("2020-06-12", {"hands_uart": True}),
    ("2021-02-16", {"repeats_again": True}),
    ("2021-10-27", {"iso_date": True}),  # between 2021-07-06 and 2021-11-22 (public logs), I
    ("2022-02-04", {"fourcc": b"4iPR", "http": True}),  # http: this beta, then 2022-03-10
    ("2022-10-03", {"blksize": 1468, "sig_first": False}),
    ("2022-11-25", {"word": "NETWORK", "labelled": True}),
    ("2024-04-17", {"iso_banner": True, "doubling": False}),
    ("2024-05-17", {"stamped": True, "skewed": True}),
    ("2025-05-08", {"skewed": False}),
    ("2025-07-03", {"watchdog": True}),
    ("2025-09-22", {"block_limit": 0}),
)
_CHANGES_2712: _Changes = (
    (
        FIRST["BCM2712"],
        {
            **{"fourcc": b"4iPR", "blksize": 1468, "sig_first": False, "word": "NETWORK", "iso_banner": True},
            **{"doubling": False, "labelled": True, "named": True, "iso_date": True},
            **{"http": True, "netconsole": True, "class_last": False},
            **{"class_again": True, "padding": True, "menus": "any", "repeats_again": True, "retry_pause": 5.0},
            "hands_uart": True,
            **{"stamped": True, "skewed": True},  # I: all known logs of this SoC have stamps
            "hangs": True,  # C: EE#687, bootloader of 2025-03-27; when it was mended is inferred
        },
    ),
    ("2023-10-30", {"fourcc": b"5iPR"}),
    ("2025-01-06", {"loud": True}),
    ("2025-05-08", {"skewed": False, "hangs": False}),
    ("2025-06-09", {"real_time": True}),
    ("2025-06-20", {"watchdog": True}),
    ("2025-09-22", {"block_limit": 0}),
    ("2026-06-17", {"maps": False}),
)
_CHANGES = {"BCM2711": _CHANGES_2711, "BCM2712": _CHANGES_2712}


def release(date: str, soc: str = "BCM2711") -> Release:
    """The bootloader as released on or last before that date; "" is the current one. Raises ConfigError."""
    # Boards with a boot ROM have no such bootloader; whatever they are given is checked by the older SoC's rules.
    soc = soc if soc in _CHANGES else "BCM2711"
    date = date or CURRENT[soc]
    if not _is_date(date) or date < FIRST[soc]:
        raise ConfigError(
            f"bootloader: {date!r} is not a release date from {FIRST[soc]} on",
            remedy=f'write it as "{CURRENT[soc]}", or leave it empty for the current release',
        )
    found = Release(date=date)
    for since, what in _CHANGES[soc]:
        if date >= since:
            found = replace(found, **what)
    return found


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
