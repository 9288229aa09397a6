# SPDX-License-Identifier: GPL-2.0-or-later
"""`eeprom:`, a board's bootloader settings, in the words of its bootconf.txt.

Ranges: raspberrypi/documentation, eeprom-bootloader.adoc; constants of released images.
"""

import re
from collections.abc import Mapping
from datetime import date
from ipaddress import IPv4Address
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from harness.config.mistakes import show
from harness.config.values import Ipv4, Mac, Section, mistake
from harness.models import FIRST_BOOTLOADER, MODELS

_Flag = Annotated[int, Field(strict=True, ge=0, le=1)]
_Milliseconds = Annotated[int, Field(strict=True, le=3_600_000)]
_Retries = Annotated[int, Field(strict=True, ge=-1, le=1_000_000)]
_PORT = r"(\d{1,5})?"
_NETCONSOLE = re.compile(
    rf"{_PORT}@([\d.]+)?/[A-Za-z0-9]*,{_PORT}@([\d.]+)?/([0-9a-f]{{2}}(:[0-9a-f]{{2}}){{5}})?", re.I
)
#: Characters that the bootloader takes (eeprom-bootloader.adoc).
_NETCONSOLE_LENGTH = 32
_NO_DISPLAY = "it needs a keyboard or a display, which an emulated board has not"
_NO_DEVICE = "an emulated board has nothing but its network: other boot modes find no device"
_HARDWARE = "it changes nothing that the wire or the console shows"


def _release(value: str) -> str:
    try:
        good = date.fromisoformat(value).isoformat() == value
    except ValueError:
        good = False
    if not good:
        raise mistake(f"{show(value)} is not a date", "year, month and day of a release, as in 2025-05-08")
    return value


#: A bootloader's release, by its date.
ReleaseDate = Annotated[
    str, AfterValidator(_release), WithJsonSchema({"type": "string", "format": "date", "examples": ["2025-05-08"]})
]


def _address(text: str) -> None:
    try:
        IPv4Address(text)
    except ValueError:
        raise mistake(
            f"{show(text)} is not an IPv4 address", "four numbers from 0 to 255 with dots: 10.0.0.1"
        ) from None


def check_eeprom(model: str, mac: str, bootloader: str | None, eeprom: "Eeprom") -> None:
    """Raises the mistake of a board whose bootloader cannot be as it is told. mac: the board's, as lab.yaml has it."""
    first = FIRST_BOOTLOADER.get(MODELS[model].soc)
    if bootloader is not None and first is None:
        raise mistake(
            f"bootloader: a {model} has none in an EEPROM",
            "remove bootloader:; it starts from its boot ROM",
            at=("bootloader",),
        )
    if bootloader is not None and first is not None and bootloader < first:
        raise mistake(
            f"bootloader: there was none for a {model} on {bootloader}",
            f"write a date from {first} on, or leave it out",
            at=("bootloader",),
        )
    if eeprom.MAC_ADDRESS is not None and mac != eeprom.MAC_ADDRESS:
        raise mistake(
            f"eeprom: MAC_ADDRESS is {show(eeprom.MAC_ADDRESS)}, but mac: is {show(mac)}",
            "write the same address at both: mac: is the one that is seen on the wire",
            at=("eeprom", "MAC_ADDRESS"),
        )


class Eeprom(Section):
    """Bootloader settings that differ from the defaults, in the words of `bootconf.txt`. An emulated board has the newest
    release's defaults, but `BOOT_ORDER: 0xf2` (network only, again and again) and `BOOT_UART: 1`."""

    #: Keys of bootconf.txt that are no mistake of spelling, and why they are not taken.
    NOT_EMULATED: ClassVar[Mapping[str, str]] = {
        "SIGNED_BOOT": "signatures are not checked; an emulated board starts what it is given",
        "HTTP_CACERT_HASH": "HTTPS is not emulated; HTTP_HOST alone means plain HTTP",
        "DNS_IP": "names are not looked up; HTTP_HOST is an address",
        "USE_IPV6": "the bootloader's IPv6 is not emulated",
        "MAC_ADDRESS_OTP": "an emulated board has no customer OTP; write MAC_ADDRESS",
        **dict.fromkeys(
            (
                *("NET_INSTALL_ENABLED", "NET_INSTALL_AT_POWER_ON", "NET_INSTALL_KEYBOARD_WAIT", "HDMI_DELAY"),
                *("DISABLE_HDMI", "BOOT_MENU_OPTIONS"),
            ),
            _NO_DISPLAY,
        ),
        **dict.fromkeys(
            (
                *("SD_BOOT_MAX_RETRIES", "SD_QUIRKS", "SD_OVERCURRENT_CHECK", "USB_MSD_DISCOVER_TIMEOUT"),
                *("USB_MSD_LUN_TIMEOUT", "USB_MSD_PWR_OFF_TIME", "USB_MSD_STARTUP_DELAY", "PARTITION"),
                *("PARTITION_WALK", "PCIE_PROBE", "BOOT_WATCHDOG_PARTITION"),
            ),
            _NO_DEVICE,
        ),
        **dict.fromkeys(
            (
                *("POWER_OFF_ON_HALT", "WAKE_ON_GPIO", "WAIT_FOR_POWER_BUTTON", "PSU_MAX_CURRENT", "VL805"),
                *("XHCI_DEBUG", "SDRAM_BANKLOW", "ENABLE_SELF_UPDATE", "FREEZE_VERSION", "REBOOT_ON_FATAL_ERROR"),
            ),
            _HARDWARE,
        ),
    }

    BOOT_ORDER: Annotated[int, Field(strict=True, ge=0, le=0xFFFF_FFFF)] | None = Field(default=None, examples=[0xF21])
    """Boot modes, one hex digit each, read from the right: 0 wait for an SD card, 1 SD card, 2 network, 3 RPIBOOT, 4 USB,
    5 USB of a CM4's own port, 6 NVMe, 7 HTTP, e stop, f restart. `0xf21`: card, then network, then again. Only network
    and HTTP find anything."""

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

    MAC_ADDRESS: Mac | None = Field(default=None, examples=["dc:a6:32:01:02:03"])
    """MAC address instead of the one in the board's OTP; `mac` of the board is this one then."""

    NETCONSOLE: str | None = Field(default=None, examples=["6665@169.254.1.1/,6666@/"])
    """Sends the bootloader's log as UDP, too: source port @ address / , target port @ address / MAC. Ports 6665 and 6666 and
    broadcast where nothing is said; at most 32 characters."""

    HTTP_HOST: Ipv4 | None = Field(default=None, examples=["10.0.0.2"])
    """Server of boot mode 7. Its address: names and HTTPS are not emulated."""

    HTTP_PORT: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = Field(default=None, examples=[8000])
    """Port of that server; 80 when absent."""

    HTTP_PATH: Annotated[str, Field(max_length=64)] | None = Field(default=None, examples=["net_install"])
    """Folder of boot.sig and boot.img on that server, without the first slash; `net_install` when absent."""

    BOOT_WATCHDOG_TIMEOUT: Annotated[int, Field(strict=True, ge=0, le=65535)] | None = Field(
        default=None, examples=[60]
    )
    """The board is reset when no system has started after so many seconds; 0: never."""

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

    @field_validator("NETCONSOLE")
    @classmethod
    def _netconsole(cls, value: str | None) -> str | None:
        if value is not None:
            found = _NETCONSOLE.fullmatch(value)
            ports = [int(port) for port in found.group(1, 3) if port] if found else []
            if found is None or len(value) > _NETCONSOLE_LENGTH or any(port > 65535 for port in ports):
                raise mistake(
                    f"{show(value)} is not a netconsole",
                    f"write it as 6665@169.254.1.1/,6666@/ in at most {_NETCONSOLE_LENGTH} characters, ports to 65535",
                )
            for address in found.group(2, 4):
                if address is not None:
                    _address(address)
        return value

    @field_validator("TFTP_PREFIX_STR", "PXE_OPTION43", "HTTP_PATH")
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
