# SPDX-License-Identifier: GPL-2.0-or-later
"""What is fused into a boot-ROM board, and what lies in its card slot: whether and how it boots from the network.

Sources: raspberrypi/documentation, otp-bits.adoc (row 17: boot modes, row 66: longer USB time-out) and boot-net.adoc.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigError

SD_CARDS = ("none", "bootcode")
#: Bits of row 17: 19.2 MHz oscillator, SDIO pull-ups, SD boot; what `program_usb_boot_mode=1` adds.
_ROW17, _HOST_BOOT = 0x1020_000A, 0x2000_0000


@dataclass(frozen=True, slots=True)
class Otp:
    """net_boot: USB host boot is programmed (row 17, bit 29), which holds for Ethernet too; usb_boot_timeout: row 66,
    bit 24; strict: the boot ROM of a 2B or 3B has its bugs (the 3B+ has none of them); sd_card: "none", or "bootcode"
    for a card with nothing but bootcode.bin on it.
    """

    net_boot: bool = True
    usb_boot_timeout: bool = False
    strict: bool = True
    sd_card: str = "none"

    @property
    def row17(self) -> int:
        """As `vcgencmd otp_dump` shows it: 0x3020000a with network boot, 0x1020000a without."""
        return _ROW17 | (_HOST_BOOT if self.net_boot else 0)


def read(keys: Mapping[str, Any]) -> Otp:
    """Checks the keys of the emulator's configuration. Raises ConfigError that names every mistake."""
    mistakes = [f"{key}: no such key" for key in keys if key not in Otp.__dataclass_fields__]
    for key in ("net_boot", "usb_boot_timeout", "strict"):
        if not isinstance(keys.get(key, True), bool):
            mistakes.append(f"{key}: {keys[key]!r} is neither true nor false")
    if keys.get("sd_card", "none") not in SD_CARDS:
        mistakes.append(f"sd_card: {keys['sd_card']!r} is not one of {', '.join(SD_CARDS)}")
    if mistakes:
        raise ConfigError("otp: " + "; ".join(mistakes), remedy="correct these keys of `otp:`")
    return Otp(**keys)
