# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot check` of consoles: devices, adapters and serial servers that lack one thing each."""

from dataclasses import dataclass, field

import pytest

from harness.checks.console import console_checks
from harness.checks.probes import Check, Probes
from harness.config import SerialConsole
from harness.errors import ConfigError, HarnessError, InfraError
from tests.config.test_checks import Machine

pytestmark = pytest.mark.usefixtures("relay")


@dataclass
class Bench(Machine):
    """A machine with an adapter; units: active ones."""

    units: frozenset[str] = frozenset()
    adapter: str | HarnessError = "/dev/ttyUSB3"
    fault: HarnessError | None = None
    asked: list[SerialConsole] = field(default_factory=list)

    def run(self, argv: object) -> tuple[int, str]:
        unit = list(argv)[-1]  # type: ignore[call-overload]
        return (0, "active\n") if unit in self.units else (3, "inactive\n")

    def usb_console(self, console: SerialConsole) -> str:
        if isinstance(self.adapter, HarnessError):
            raise self.adapter
        return self.adapter

    def console_fault(self, console: SerialConsole) -> HarnessError | None:
        self.asked.append(console)
        return self.fault

    def real_path(self, path: str) -> str:
        return path


def _checks(text: dict[str, object], probes: Probes) -> list[Check]:
    return list(console_checks("b", SerialConsole.model_validate({"driver": "serial", **text}), probes))


DEVICE, USB = {"port": "/dev/ttyUSB0"}, {"usb": {"serial": "A5"}}
SERVER = {"url": "rfc2217://10.0.0.5:4001"}


def test_all_is_well() -> None:
    assert [(c.name, c.ok, c.found) for c in _checks(DEVICE, Bench())] == [
        ("console /dev/ttyUSB0", True, "free, may be read and written")
    ]
    assert [(c.name, c.ok, c.found) for c in _checks(USB, Bench())] == [
        ("console USB adapter serial A5", True, "free, may be read and written, now /dev/ttyUSB3")
    ]
    assert _checks(SERVER, Bench()) == [], "the dry run of the lab's gear asks it; here nobody's service is touched"


@pytest.mark.parametrize(
    ("text", "bench", "found", "remedy"),
    [
        (USB, Bench(adapter=InfraError("no USB adapter fits (serial A5)", remedy="plug")), "no USB adapter", "plug"),
        (USB, Bench(adapter=ConfigError("several fit", place="a; b", remedy="add")), "several fit: a; b", "add"),
        (USB, Bench(files_missing=frozenset({"/dev/ttyUSB3:rw"})), "may not be", "dialout"),
        (DEVICE, Bench(users=[(7, "agetty")]), "open in agetty", "disable --now serial-getty@ttyUSB0.service"),
        (DEVICE, Bench(users=[(7, "ModemManager")]), "open in ModemManager", "udev rule"),
        (DEVICE, Bench(users=[(7, "ser2net")]), "open in ser2net", "url: rfc2217://"),
        (DEVICE, Bench(users=[(7, "screen")]), "open in screen", "process 7"),
        (DEVICE, Bench(units=frozenset({"serial-getty@ttyUSB0.service"})), "a getty of this host", "disable --now"),
        (SERVER, Bench(fault=InfraError("refused", remedy="start the server")), "refused", "start the server"),
    ],
)
def test_one_thing_is_wrong(text: dict[str, object], bench: Bench, found: str, remedy: str) -> None:
    check = _checks(text, bench)[0]
    assert check.ok is False
    assert found in check.found
    assert remedy in check.remedy


def test_a_milestone_that_there_is_not() -> None:
    text: dict[str, object] = {**DEVICE, "baud_after": {"firmware.start_so": 921600}}
    check = _checks(text, Probes())[0]
    assert (check.ok, "no milestone 'firmware.start_so'" in check.found) == (False, True)
    assert "firmware.start_os" in check.remedy


def test_modem_manager_is_a_note_for_usb_adapters_only() -> None:
    bench = Bench(units=frozenset({"ModemManager.service"}))
    assert [(c.name, c.ok) for c in _checks(USB, bench)][1:] == [("ModemManager", None)]
    assert len(_checks({"port": "/dev/ttyAMA0"}, bench)) == 1
