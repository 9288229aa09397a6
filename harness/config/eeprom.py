# SPDX-License-Identifier: GPL-2.0-or-later
"""`eeprom:`, a board's bootloader settings, in the words of its bootconf.txt.

Ranges: raspberrypi/documentation, eeprom-bootloader.adoc; constants of released images.
"""

from ipaddress import IPv4Address
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from harness.config.mistakes import show
from harness.config.values import Ipv4, Section, mistake

_Flag = Annotated[int, Field(strict=True, ge=0, le=1)]
_Milliseconds = Annotated[int, Field(strict=True, le=3_600_000)]
_Retries = Annotated[int, Field(strict=True, ge=-1, le=1_000_000)]


class Eeprom(Section):
    """Bootloader settings that differ from the defaults, in the words of `bootconf.txt`. An emulated board has the newest
    release's defaults, but `BOOT_ORDER: 0xf2` (network only, again and again) and `BOOT_UART: 1`."""

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

    BOOT_UART: _Flag | None = Field(default=None, examples=[1])
    """1: the bootloader writes its log to the serial console."""

    UART_BAUD: Annotated[int, Field(strict=True, ge=300, le=4_000_000)] | None = Field(default=None, examples=[115200])
    """Baud rate of that log."""

    @field_validator("BOOT_ORDER")
    @classmethod
    def _digits(cls, value: int | None) -> int | None:
        unknown = sorted(set(f"{value or 0:x}") & set("89abcd"))
        if unknown:
            raise mistake(f"the digit {unknown[0]} of 0x{value:x} is no boot mode", "use 0 to 7, e and f, as in 0xf21")
        return value

    @field_validator("SUBNET")
    @classmethod
    def _mask(cls, value: str | None) -> str | None:
        if value is not None and "01" in f"{int(IPv4Address(value)):032b}":
            raise mistake(f"{show(value)} is not a netmask", "ones, then zeros: 255.255.255.0")
        return value

    @field_validator("TFTP_PREFIX_STR", "PXE_OPTION43")
    @classmethod
    def _ascii(cls, value: str | None) -> str | None:
        if value is not None and not (value.isascii() and value.isprintable()):
            raise mistake(f"{show(value)} is not plain ASCII text", "the bootloader knows nothing else")
        return value

    @model_validator(mode="after")
    def _together(self) -> "Eeprom":
        if self.TFTP_PREFIX == 1 and not self.TFTP_PREFIX_STR:
            raise mistake("TFTP_PREFIX: 1 has no TFTP_PREFIX_STR", "add TFTP_PREFIX_STR: pi4/")
        if self.CLIENT_IP is not None and self.TFTP_IP is None:
            raise mistake("CLIENT_IP has no TFTP_IP", "add TFTP_IP: without it the bootloader uses DHCP after all")
        return self

    def settings(self) -> dict[str, int | str]:
        """The keys that were given, with their values."""
        return self.model_dump(exclude_none=True)
