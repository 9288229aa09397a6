# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of a real board's serial console: is it there, may it be read, does anybody else read it."""

from collections.abc import Iterator
from pathlib import Path

from harness.checks.probes import Check, Probes
from harness.config import SerialConsole
from harness.console.holders import keep_off
from harness.errors import HarnessError


def console_checks(board: str, console: SerialConsole, probes: Probes) -> Iterator[Check]:
    """What stands between the harness and a board's console."""
    name, why = f"console {console.line}", f"reading {board}"
    if (fault := probes.console_fault(console)) is not None:
        yield Check(name, False, fault.what, fault.remedy, why)
        return
    if console.url is not None:
        return  # asked by the dry run of the lab's gear: nobody's service is touched here
    device = console.port
    if device is None:
        try:
            device = probes.usb_console(console)
        except HarnessError as error:
            known = f": {error.place}" if error.place else ""
            yield Check(name, False, f"{error.what}{known}", error.remedy, why)
            return
    yield _device(name, why, device, probes, asked=console.port)
    yield from _modem_manager(device, probes)


def _device(name: str, why: str, device: str, probes: Probes, asked: str | None) -> Check:
    if not probes.exists(device):
        known = probes.glob("/dev/serial/by-id/*") or probes.glob("/dev/tty[UA][SM][BA]*")
        there = ", ".join(known) if known else "no serial adapter is plugged in"
        return Check(name, False, "there is no such port", f"plug the adapter in, or correct port: ({there})", why)
    if not probes.is_character_device(device):
        return Check(name, False, "this is not a device", "correct port: in lab.yaml", why)
    if not probes.may(device, "rw"):
        remedy = "sudo adduser $USER dialout and log in again, or run with sudo"
        return Check(name, False, "may not be read and written", remedy, why)
    short = Path(probes.real_path(device)).name
    users = probes.users_of(device)
    if users:
        pid, program = users[0]
        remedy = keep_off(program, device) or f"end it (process {pid}): two readers tear a console's text apart"
        return Check(name, False, f"open in {program}", remedy, why)
    if _runs(f"serial-getty@{short}.service", probes):  # root's: another user does not see what it has open
        return Check(name, False, "a getty of this host reads it", keep_off("agetty", device), why)
    now = "" if device == asked else f", now {device}"
    return Check(name, True, f"free, may be read and written{now}", "", why)


def _modem_manager(device: str, probes: Probes) -> Iterator[Check]:
    if Path(probes.real_path(device)).name.startswith(("ttyUSB", "ttyACM")) and _runs("ModemManager.service", probes):
        found = "it runs: it types at new USB adapters for half a minute, looking for a modem"
        yield Check("ModemManager", None, found, keep_off("ModemManager", device), "consoles that nobody else types at")


def _runs(unit: str, probes: Probes) -> bool:
    return probes.which("systemctl") is not None and probes.run(["systemctl", "is-active", unit])[1].strip() == "active"
