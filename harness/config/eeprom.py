# SPDX-License-Identifier: GPL-2.0-or-later
"""`eeprom:`, a board's bootloader settings, in the words of its bootconf.txt.

Ranges: raspberrypi/documentation, eeprom-bootloader.adoc; constants of released images.
"""

from typing import Annotated

from pydantic import Field

from harness.config.values import Ipv4, Section

_Milliseconds = Annotated[int, Field(strict=True, le=3_600_000)]
_Retries = Annotated[int, Field(strict=True, ge=-1, le=1_000_000)]


class Eeprom(Section):
    """Bootloader settings that differ from the release's defaults, in the words of `bootconf.txt`."""

    BOOT_ORDER: Annotated[int, Field(strict=True, ge=0, le=0xFFFF_FFFF)] | None = Field(default=None, examples=[0xF21])
    """Boot modes, one hex digit each, read from the right: 1 SD card, 2 network, 4 USB, f restart. `0xf21`: card, then
    network, then again."""

    NET_BOOT_MAX_RETRIES: _Retries | None = Field(default=None, examples=[-1])
    """How often network boot is tried again before the next boot mode; -1: without end."""

    MAX_RESTARTS: _Retries | None = Field(default=None, examples=[-1])
    """How often the boot order is started again (digit f) before the watchdog resets the board; -1: without end."""

    DHCP_TIMEOUT: Annotated[_Milliseconds, Field(ge=5000)] | None = Field(default=None, examples=[45000])
    """How long DHCP is tried in all, milliseconds."""

    DHCP_REQ_TIMEOUT: Annotated[_Milliseconds, Field(ge=500)] | None = Field(default=None, examples=[4000])
    """How long an answer is awaited before DISCOVER or REQUEST is sent again, milliseconds."""

    TFTP_FILE_TIMEOUT: Annotated[_Milliseconds, Field(ge=5000)] | None = Field(default=None, examples=[30000])
    """How long one file may take, milliseconds."""

    TFTP_IP: Ipv4 | None = Field(default=None, examples=["10.0.0.2"])
    """TFTP server's address, instead of the one that DHCP names."""

    CLIENT_IP: Ipv4 | None = Field(default=None, examples=["10.0.0.50"])
    """Fixed address of the board: no DHCP."""

    SUBNET: Ipv4 | None = Field(default=None, examples=["255.255.255.0"])
    """Netmask, with CLIENT_IP."""

    GATEWAY: Ipv4 | None = Field(default=None, examples=["10.0.0.1"])
    """Gateway, with CLIENT_IP."""

    TFTP_PREFIX: Annotated[int, Field(strict=True, ge=0, le=2)] | None = Field(default=None, examples=[0])
    """Folder that files are asked from: 0 serial number, 1 TFTP_PREFIX_STR, 2 MAC."""

    TFTP_PREFIX_STR: Annotated[str, Field(max_length=32)] | None = Field(default=None, examples=["pi4/"])
    """The folder when TFTP_PREFIX is 1, with its slash."""

    PXE_OPTION43: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, examples=["Raspberry Pi Boot"]
    )
    """Text that option 43 of an acceptable OFFER holds."""

    DHCP_OPTION97: Annotated[int, Field(strict=True, ge=0, le=0xFFFF_FFFF)] | None = Field(
        default=None, examples=[0x34695052]
    )
    """First four octets of the client's UUID in option 97."""

    BOOT_UART: Annotated[int, Field(strict=True, ge=0, le=1)] | None = Field(default=None, examples=[1])
    """1: the bootloader writes its log to the serial console."""

    def settings(self) -> dict[str, int | str]:
        """The keys that were given, with their values."""
        return self.model_dump(exclude_none=True)
