# SPDX-License-Identifier: GPL-2.0-or-later
"""Serial consoles, as they stand in lab.yaml under `console:`."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from harness.config.values import AbsolutePath, Section, matching, mistake


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        fits = parts.scheme in {"rfc2217", "telnet", "socket"} and bool(parts.hostname and parts.port)
        fits = fits and parts.path in {"", "/"} and parts.username is None
    except ValueError:
        fits = False
    if not fits:
        raise mistake(
            "this is not the URL of a serial server",
            '"rfc2217://10.0.0.5:4001", telnet:// or socket://; a device or pty stands under port:',
        )
    return value


def _device(value: str) -> str:
    if "://" in value:
        raise mistake("a URL is no device", "write it under url: instead of port:")
    return value


_USB_ID = matching(r"[0-9a-fA-F]{4}", "a USB id", 'four hex digits as `lsusb` shows them, in quotes: "0403"')
_LINK = matching(r"[^/\0]{1,200}", "a name in that folder", "only the last part, as `ls` shows it")

Baud = Annotated[int, Field(strict=True, ge=1200, le=4_000_000)]
UsbId = Annotated[str, AfterValidator(_USB_ID), AfterValidator(str.lower)]
LinkName = Annotated[str, AfterValidator(_LINK)]
ConsoleUrl = Annotated[str, AfterValidator(_url)]
MilestoneName = Annotated[
    str,
    AfterValidator(matching(r"[a-z0-9]+\.[a-z0-9_]+", "a milestone", "as `milestones` of a record.json names them")),
]


class UsbAdapter(Section):
    """A USB serial adapter by what it is, under whatever name it stands in /dev. All keys that are given must fit, and they must
    fit one adapter only."""

    serial: Annotated[str, Field(min_length=1, max_length=126)] | None = Field(default=None, examples=["A50285BI"])
    """Its serial number (`lsusb -v`: iSerial). Cheap adapters have none, or all the same."""
    vid: UsbId | None = Field(default=None, examples=["0403"])
    """Vendor id."""
    pid: UsbId | None = Field(default=None, examples=["6001"])
    """Product id."""
    interface: Annotated[int, Field(strict=True, ge=0, le=31)] | None = Field(default=None, examples=[1])
    """Which port of an adapter with several, counted from 0 (bInterfaceNumber)."""
    by_id: LinkName | None = Field(default=None, examples=["usb-FTDI_FT232R_A50285BI-if00-port0"])
    """Its name in /dev/serial/by-id."""
    by_path: LinkName | None = Field(default=None, examples=["pci-0000:00:14.0-usb-0:2:1.0-port0"])
    """Its name in /dev/serial/by-path: the socket that it is plugged into."""

    @model_validator(mode="after")
    def _says_something(self) -> "UsbAdapter":
        if not self.model_fields_set or self.model_fields_set <= {"interface"}:
            raise mistake("it fits every adapter", 'say which: serial: "A50285BI", or by_path:, or vid: and pid:')
        return self


class Sending(Section):
    """How fast to type, for boards that lose octets: a small receive buffer and no flow control."""

    char_delay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Seconds to wait for each octet sent."""
    line_delay: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Seconds to wait after each line end."""
    chunk: Annotated[int, Field(strict=True, ge=1, le=4096)] = 1
    """Octets to send at once, where there is a `char_delay`; the wait after them is for all of them."""


class EmulatedConsole(Section):
    """The serial console of an emulated board."""

    driver: Literal["emulated"]
    """`emulated`."""


class SerialConsole(Section):
    """A serial line: a device of this host (`port:`), a USB adapter (`usb:`) or a serial server (`url:`), one of them."""

    driver: Literal["serial"]
    """`serial`."""
    port: Annotated[AbsolutePath, AfterValidator(_device)] | None = Field(
        default=None, examples=["/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0"]
    )
    """Device, or pty. One of /dev/serial/by-id/ stays the same when cables are replugged, /dev/ttyUSB0 does not."""
    usb: UsbAdapter | None = Field(default=None, examples=[{"serial": "A50285BI"}])
    """A USB adapter, looked for each time the line is opened: also when it comes back under another name."""
    url: ConsoleUrl | None = Field(default=None, examples=["rfc2217://10.0.0.5:4001"])
    """A serial server: rfc2217:// (telnet with a COM port: rates and breaks), telnet:// (breaks), socket:// (raw TCP)."""
    baud: Baud = 115200
    """Baud rate; a Pi speaks at 115200 unless told otherwise."""
    baud_after: dict[MilestoneName, Baud] = Field(default_factory=dict, examples=[{"firmware.start_os": 921600}])
    """Another baud rate from a milestone of the boot on; each boot begins with `baud`."""
    send: Sending = Field(default_factory=Sending, examples=[{"char_delay": 0.002}])
    """How fast to type."""
    reconnect: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """Seconds that a lost line may stay away before the boot is given up as the lab's fault."""

    @model_validator(mode="after")
    def _one_line(self) -> "SerialConsole":
        given = [key for key in ("port", "usb", "url") if getattr(self, key) is not None]
        if len(given) != 1:
            what = "it has no line" if not given else f"it has {' and '.join(given)}"
            raise mistake(what, "give one of port: (a device), usb: (an adapter) and url: (a serial server)")
        raw = self.url is not None and not self.url.startswith("rfc2217:")
        if raw and (self.baud_after or "baud" in self.model_fields_set):
            raise mistake(
                "the rate of this line is set at its serial server", "remove baud: and baud_after:, or use rfc2217://"
            )
        return self

    @property
    def line(self) -> str:
        """For people: "/dev/ttyUSB0", "rfc2217://…", "USB adapter A50285BI"."""
        if self.usb is not None:
            given = {key: getattr(self.usb, key) for key in UsbAdapter.model_fields}
            return "USB adapter " + ", ".join(f"{key} {value}" for key, value in given.items() if value is not None)
        return self.port or self.url or ""
