# SPDX-License-Identifier: GPL-2.0-or-later
"""Who sent a TFTP request: told by the habits of its IP and TFTP code, never by the file's name.

A Pi's stages ask for the same files (config.txt up to six times), but each has a network stack of its own. Sources:
raspberrypi/documentation boot-net capture, FW#1041, FW#1700 (boot ROM, bootcode.bin, start.elf); a Pi 400's capture,
EE#74, rpi-eeprom release notes 2019-10-08 and 2022-10-03 (EEPROM); U-Boot net/net.c (TTL 255); ip(7) (Linux sets DF).
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Habits:
    """What of a request tells its sender. ttl: as seen; options: names and values, lower case, in order."""

    ttl: int
    ip_id: int
    dont_fragment: bool
    port: int
    options: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.options)

    @property
    def first_ttl(self) -> int:
        """The TTL that the sender must have used: routers only count it down."""
        return next(ttl for ttl in (64, 128, 255) if self.ttl <= ttl)


def _videocore(seen: Habits) -> bool:
    """TTL 128 and IP id 0: the stack of boot ROM, bootcode.bin and start*.elf."""
    return seen.first_ttl == 128 and seen.ip_id == 0 and seen.port >= 49152


def _eeprom(seen: Habits) -> bool:
    if seen.first_ttl != 64 or seen.dont_fragment:
        return False
    return seen.names in {(), ("tsize",)} or (
        seen.names == ("tsize", "blksize") and seen.options[1][1] in {"1024", "1468"}
    )


#: First row that fits wins.
_TABLE: tuple[tuple[str, Callable[[Habits], bool]], ...] = (
    ("rom", lambda seen: _videocore(seen) and not seen.options),
    ("bootcode.bin", lambda seen: _videocore(seen) and seen.names == ("tsize",)),
    ("start4.elf", lambda seen: _videocore(seen) and seen.names == ("tsize", "blksize") and seen.port >= 49153),
    ("eeprom", _eeprom),
    # Captured of U-Boot 2023.01: `timeout 5 blksize 1468`, with DF; of EDK2 2022.11: `tsize 0 blksize 1468 windowsize 4`, and
    # the second time without tsize; of iPXE 1.21.1 (2025-05): `blksize 1432 tsize 0`.
    ("u-boot", lambda seen: seen.first_ttl == 255),
    ("uefi", lambda seen: seen.first_ttl == 64 and seen.names[-1:] == ("windowsize",) and not seen.dont_fragment),
    ("ipxe", lambda seen: seen.first_ttl == 64 and seen.names[:2] == ("blksize", "tsize") and not seen.dont_fragment),
    ("os", lambda seen: seen.first_ttl == 64 and seen.dont_fragment),
)

FIRMWARE = frozenset({"rom", "bootcode.bin", "start.elf", "eeprom", "start4.elf"})
"""Clients that fetch one file after the other: a new request means that the one before is over."""


#: Boot loaders that say so in DHCP. Their requests may look like an EEPROM's: an EDK2 before windowsize (RFC 7440) asks for
#: `tsize 0 blksize 1468` from a random port with TTL 64 too (MdeModulePkg Mtftp4Dxe), and some iPXE builds ask in another
#: order. But iPXE asks for autoexec.ipxe before its own DHCP: habits that can only be one of these are believed first.
_SELF_NAMED = frozenset({"uefi", "ipxe", "pxe", "u-boot"})


def asked_by(seen: Habits, *, after_fixup: bool = False, dhcp_client: str = "") -> str:
    """The name of the client, "" when its habits are nobody's.

    after_fixup: the same client has asked for fixup*.dat before. bootcode.bin and start.elf share their stack, but
    fixup.dat is the last file of bootcode.bin. dhcp_client: what the same board called itself in its last DHCP request
    (`harness.boot.identity`): who has named itself is believed, unless the request has the VideoCore's own habits, or
    those of another boot loader: U-Boot asks in UEFI's words at times.
    """
    name = next((name for name, fits in _TABLE if fits(seen)), "")
    if dhcp_client in _SELF_NAMED and name not in _SELF_NAMED and not _videocore(seen):
        return dhcp_client
    return "start.elf" if name == "bootcode.bin" and after_fixup else name
