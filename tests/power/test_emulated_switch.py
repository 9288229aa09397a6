# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulated board on an emulated PoE switch: a real SNMP agent in the rig, switched by the poe-snmp driver."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.power.poe_snmp import PoeSnmpPort
from harness.servers import VirtualBoard
from harness.servers.poe import EmulatedPoe
from harness.servers.programs import system_path
from tests.power.emulated_bench import Bench, fed_by

pytestmark = pytest.mark.netns

BOARDS = (
    VirtualBoard("first", "pi4", "5ce8a2f1", "dc:a6:32:01:02:03"),
    VirtualBoard("second", "pi4", "5ce8a2f2", "dc:a6:32:01:02:04"),
)


Switch = Bench[EmulatedPoe, PoeSnmpPort]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Switch]:
    for program in ("snmpd", "dnsmasq"):
        if shutil.which(program, path=system_path()) is None:
            pytest.skip(f"needs {program}")
    with fed_by(partial(EmulatedPoe, budget=10), PoeSnmpPort, BOARDS, tmp_path / "run") as made:
        yield made


def test_a_board_is_switched_by_snmp(bench: Switch) -> None:
    first, board = bench.port("first"), bench.board("first")
    assert (first.state(), board.state()) == ("off", "off")
    first.on()
    assert first.detail == "deliveringPower, class 4"
    assert board.state() == "on"
    assert bench.board("second").state() == "off"
    assert "boot folder" in (bench.rig.folder / "first/emulator.log").read_text()
    first.off()
    assert board.state() == "off"
    assert first.lost_power()


def test_the_budget_of_the_switch(bench: Switch) -> None:
    """Two boards of 7 W on 10 W."""
    first, second = bench.port("first"), bench.port("second")
    first.on()
    with pytest.raises(InfraError, match=r"port 2: denied, power budget \(7 of 10 W in use\)"):
        second.on()
    assert bench.board("second").state() == "off"
    second.off()
    first.off()
    second.on()
    assert bench.board("second").state() == "on"


def test_a_board_whose_emulator_dies_draws_no_power(bench: Switch) -> None:
    bench.port("first").on()
    process = bench.rig.emulator("first")
    assert process is not None
    process.stop()
    assert bench.port("first").state() == "unknown", "the port is enabled and searches"


def test_the_switch_restarts(bench: Switch) -> None:
    """Boards go on, as on a switch whose management restarts; ports that deliver are told as such."""
    port = bench.port("first")
    port.on()
    bench.gear.switch.stop()
    port._agent.timeout = 0.3
    with pytest.raises(InfraError, match=r"no answer|no exchange"):
        port.state()
    port._agent.timeout = 10.0
    bench.gear.switch.start()
    assert port.state() == "on"
    port.off()
    assert bench.board("first").state() == "off"


def test_the_community_is_in_no_file_that_is_kept(bench: Switch) -> None:
    bench.port("first").on()
    holders = [
        path.relative_to(bench.rig.folder).as_posix()
        for path in bench.rig.folder.rglob("*")
        if path.is_file() and bench.gear.switch.community.encode() in path.read_bytes()
    ]
    assert holders == []
    assert bench.gear.switch.config.stat().st_mode & 0o777 == 0o600
