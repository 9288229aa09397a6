# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulated board on an emulated PoE switch: a real SNMP agent in the rig, switched by the poe-snmp driver."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.power.poe_snmp import PoeSnmpPort
from harness.power.virtual import VirtualPort
from harness.servers import Rig, VirtualBoard
from harness.servers.poe import EmulatedPoe
from harness.servers.programs import system_path

pytestmark = pytest.mark.netns

BOARDS = (
    VirtualBoard("first", "pi4", "5ce8a2f1", "dc:a6:32:01:02:03"),
    VirtualBoard("second", "pi4", "5ce8a2f2", "dc:a6:32:01:02:04"),
)


@dataclass
class Bench:
    rig: Rig
    poe: EmulatedPoe

    def port(self, name: str) -> PoeSnmpPort:
        folder = self.rig.folder / name / "boot"
        folder.mkdir(exist_ok=True)
        port = self.poe.port(name, folder)
        assert isinstance(port, PoeSnmpPort)
        return port

    def board(self, name: str) -> VirtualPort:
        """What the board itself says."""
        return VirtualPort(self.rig.board(name).control_socket)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    if os.geteuid() != 0:
        pytest.skip("needs root: namespaces")
    for program in ("snmpd", "dnsmasq"):
        if shutil.which(program, path=system_path()) is None:
            pytest.skip(f"needs {program}")
    with ExitStack() as stack:
        rig = stack.enter_context(Rig(BOARDS, tmp_path / "run"))
        for board in BOARDS:
            rig.start_emulator(board.name)
        yield Bench(rig, EmulatedPoe(rig, [board.name for board in BOARDS], budget=10))


def test_a_board_is_switched_by_snmp(bench: Bench) -> None:
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


def test_the_budget_of_the_switch(bench: Bench) -> None:
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


def test_a_board_whose_emulator_dies_draws_no_power(bench: Bench) -> None:
    bench.port("first").on()
    process = bench.rig.emulator("first")
    assert process is not None
    process.stop()
    assert bench.port("first").state() == "unknown", "the port is enabled and searches"


def test_the_switch_restarts(bench: Bench) -> None:
    """Boards go on, as on a switch whose management restarts; ports that deliver are told as such."""
    port = bench.port("first")
    port.on()
    bench.poe.switch.stop()
    port._agent.timeout = 0.3
    with pytest.raises(InfraError, match=r"no answer|no exchange"):
        port.state()
    port._agent.timeout = 10.0
    bench.poe.switch.start()
    assert port.state() == "on"
    port.off()
    assert bench.board("first").state() == "off"


def test_the_community_is_in_no_file_that_is_kept(bench: Bench) -> None:
    bench.port("first").on()
    holders = [
        path.relative_to(bench.rig.folder).as_posix()
        for path in bench.rig.folder.rglob("*")
        if path.is_file() and bench.poe.switch.community.encode() in path.read_bytes()
    ]
    assert holders == []
    assert bench.poe.switch.config.stat().st_mode & 0o777 == 0o600
