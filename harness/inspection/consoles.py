# SPDX-License-Identifier: GPL-2.0-or-later
"""Opens a board's serial line and closes it again: only so is it known that it is there and that nobody else reads it."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from harness.config import SerialConsole
from harness.console.opening import device_of, open_line
from harness.inspection.seen import Seen


def look_at_console(console: SerialConsole, row: Seen) -> Seen:
    """Raises as opening it does."""
    device = device_of(console)
    row = replace(row, identity=usb_identity(device))
    open_line(console).close()
    raw = console.url is not None and not console.url.startswith("rfc2217:")
    rate = "" if raw else f", {console.baud} baud"  # which others is its server's business
    now = "" if device == console.line else f", now {device}"
    return replace(row, reachable=True, rights=True, state=f"free{rate}{now}")


def usb_identity(device: str) -> str:
    """Of a USB adapter: "FT232R USB UART, FTDI, serial A50285BI, 0403:6001"; "" for any other line."""
    if "://" in device:
        return ""
    from serial.tools.list_ports import comports  # noqa: PLC0415 - reads sysfs

    with suppress(OSError):
        real = str(Path(device).resolve())
        for port in comports():
            if port.device == real and port.vid is not None:
                serial = f"serial {port.serial_number}" if port.serial_number else "no serial number"
                parts = (port.product, port.manufacturer, serial, f"{port.vid:04x}:{port.pid:04x}")
                return ", ".join(part for part in parts if part)
    return ""
