# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulated lab whose board hangs on the emulated PoE switch (`power: {driver: emulated, gear: poe-switch}`)."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.config import loads
from harness.lab import Lab
from harness.power.journal import edges_of
from harness.run import Run
from harness.servers.poe import EmulatedPoe
from harness.servers.programs import system_path
from tests import emulated

pytestmark = [pytest.mark.netns, pytest.mark.qemu]

TEXT = emulated.lab("on-poe", emulated.board(power="{driver: emulated, gear: poe-switch}"))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("needs root: the emulated lab's NFS server opens files by handle")
    if shutil.which("snmpd", path=system_path()) is None:
        pytest.skip("needs snmpd: apt install snmpd")
    with Lab(loads(TEXT), Run.create(tmp_path / "reports", lab="on-poe")) as opened:
        yield opened


def switch_of(lab: Lab) -> EmulatedPoe:
    return lab._feeds["netboot"].poe


def test_a_boot_by_snmp_and_the_next_one(lab: Lab) -> None:
    for proven in ("it was off when the boot began, as its power port says", "link down, PoE class gone"):
        boot = lab.board("pi4-a").boot(until="dhcp")
        assert boot.verdict == "passed", boot.record.reason
        assert boot.record.power_loss is not None
        assert boot.record.power_loss.text == proven
        last = edges_of(boot.folder / "power.jsonl")[-1]
        assert (last.on, last.phase, last.detail) == (True, "confirmed", "deliveringPower, class 4")
        assert (boot.folder / "capture.pcapng").stat().st_size > 500, "its files are in this boot's folder"


def test_a_switch_without_power_to_give_is_infra(lab: Lab) -> None:
    board = lab.board("pi4-a")
    poe = switch_of(lab)
    poe.switch.budget = 3
    poe.switch.restart()
    boot = board.boot(until="dhcp")
    assert boot.verdict == "infra"
    assert "port 1: denied, power budget (0 of 3 W in use)" in str(boot.error)
    poe.switch.budget = 65
    poe.switch.restart()
    assert board.boot(until="dhcp").verdict == "passed"
