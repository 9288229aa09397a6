# SPDX-License-Identifier: GPL-2.0-or-later
"""`otp:`, what is fused into a board that boots from its ROM, and how the ROM's board fits to the rest of its entry.

Sources: raspberrypi/documentation, otp-bits.adoc (rows 17 and 66), boot-net.adoc, revision-codes.adoc.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator

from harness.config.mistakes import show
from harness.config.values import Section, mistake
from harness.models import MODELS

SdCard = Literal["none", "bootcode"]


def _flag(value: object) -> object:
    if not isinstance(value, bool):
        raise mistake(f"{show(value)} is neither true nor false", "write true or false")
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]


class Otp(Section):
    """What is fused into a 2B, 3B or 3B+ (`vcgencmd otp_dump`). Only an emulated board takes it from here."""

    net_boot: Flag = True
    """The board may boot from the network: row 17 is 3020000a. A 3B+ leaves the factory so; a 2B or 3B needs one boot from
    a card with `program_usb_boot_mode=1` in its config.txt, and is silent on the wire before."""

    usb_boot_timeout: Flag = False
    """`program_usb_boot_timeout=1` was set once: the ROM waits 5 s instead of 2 s for USB devices, Ethernet among them."""


def check_rom(model: str, serial_number: str, mac: str, given: set[str]) -> None:
    """Raises the mistake of a board whose keys do not fit to how its model starts. given: the keys that are there."""
    if MODELS[model].bootloader != "rom":
        for key in ("otp", "sd_card"):
            if key in given:
                raise mistake(
                    f"{key}: is for boards that start from their boot ROM, and a {model} starts from its EEPROM",
                    f"remove {key}:; a {model} is configured in eeprom:",
                )
        return
    if "eeprom" in given:
        raise mistake(f"eeprom: a {model} has no EEPROM", "remove eeprom:; what is fused into the board is in otp:")
    tail = ":".join(serial_number[at : at + 2] for at in (2, 4, 6))
    if mac[9:] != tail:
        # Up to the 3B+ the MAC is b8:27:eb and the low three bytes of the serial number.
        raise mistake(
            f"{show(mac)} is not the MAC address of a {model} with the serial number {show(serial_number)}",
            f'one of them is another board\'s: with this serial number it is "b8:27:eb:{tail}"',
        )
