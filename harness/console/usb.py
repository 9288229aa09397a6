# SPDX-License-Identifier: GPL-2.0-or-later
"""USB serial adapters by what they are: looked for each time a line is opened, under whatever name they stand in /dev then."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.console.text import clean
from harness.errors import ConfigError, InfraError

#: Where udev puts names that stay.
SERIAL = Path("/dev/serial")


class Adapter(Protocol):
    """One serial port of a USB adapter, as `serial.tools.list_ports` describes it. location: "1-1.4", or "1-1.4:1.2" for one
    of several ports.
    """

    device: str
    vid: int | None
    pid: int | None
    serial_number: str | None
    location: str | None
    product: str | None


@dataclass(frozen=True)
class Identity:
    """What must fit, None where anything does. vid, pid: four small hex digits; interface: which port of an adapter with several;
    by_id, by_path: names below /dev/serial.
    """

    serial: str | None = None
    vid: str | None = None
    pid: str | None = None
    interface: int | None = None
    by_id: str | None = None
    by_path: str | None = None

    def fits(self, adapter: Adapter, folder: Path) -> bool:
        links = [folder / kind / name for kind, name in (("by-id", self.by_id), ("by-path", self.by_path)) if name]
        return (
            self.serial in {None, adapter.serial_number}
            and self.vid in {None, _hex(adapter.vid)}
            and self.pid in {None, _hex(adapter.pid)}
            and self.interface in {None, _interface(adapter)}
            and all(link.exists() and link.resolve() == Path(adapter.device).resolve() for link in links)
        )

    def __str__(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in vars(self).items() if value is not None)


def adapters() -> list[Adapter]:
    """The USB serial ports of this machine."""
    from serial.tools.list_ports import comports  # noqa: PLC0415 - reads sysfs

    return [port for port in comports() if port.vid is not None]


def find(identity: Identity, listed: Callable[[], Iterable[Adapter]] = adapters, folder: Path | None = None) -> str:
    """The device of the one adapter that fits. InfraError: none does now; ConfigError: several do."""
    folder = folder or SERIAL
    there = sorted(listed(), key=lambda adapter: adapter.device)
    found = [adapter for adapter in there if identity.fits(adapter, folder)]
    if len(found) == 1:
        return found[0].device
    if not found and (device := _by_link(identity, folder)) is not None:
        return device
    known = "; ".join(map(describe, found or there)) or "no USB serial adapter at all"
    if found:
        raise ConfigError(
            f"several USB adapters fit ({identity})",
            place=known,
            remedy="add serial:, interface: or by_path: under usb: of this console in lab.yaml",
        )
    raise InfraError(
        f"no USB adapter fits ({identity}); there is {known}",
        remedy="plug the adapter in, or correct usb: of this board's console in lab.yaml",
    )


def describe(adapter: Adapter) -> str:
    """For people: "/dev/ttyUSB0: FT232R USB UART, vid 0403, pid 6001, serial A50285BI, at 1-1.4"."""
    parts = [adapter.product or "adapter", f"vid {_hex(adapter.vid)}", f"pid {_hex(adapter.pid)}"]
    parts += [f"serial {adapter.serial_number}"] if adapter.serial_number else []
    parts += [f"at {adapter.location}"] if adapter.location else []
    # What an adapter says of itself may be anything.
    return f"{adapter.device}: {clean(', '.join(parts).encode('utf-8', 'backslashreplace'))[:200]}"


def _by_link(identity: Identity, folder: Path) -> str | None:
    """A name of udev's, where nothing else is asked and the device is none that pyserial lists (a gadget, a pty)."""
    if identity not in (Identity(by_id=identity.by_id), Identity(by_path=identity.by_path)):
        return None
    kind, name = ("by-id", identity.by_id) if identity.by_id else ("by-path", identity.by_path)
    link = folder / kind / (name or "")
    return str(link) if name and link.exists() else None


def _hex(number: int | None) -> str | None:
    return None if number is None else f"{number:04x}"


def _interface(adapter: Adapter) -> int:
    """bInterfaceNumber; 0 where the adapter has one port only and says none."""
    tail = (adapter.location or "").rpartition(":")[2] if ":" in (adapter.location or "") else ""
    number = tail.rpartition(".")[2]
    return int(number) if number.isdigit() else 0
