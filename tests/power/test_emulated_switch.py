# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulated board on an emulated PoE switch: a real SNMP agent in the rig, switched by the poe-snmp driver."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.config import Secret
from harness.errors import InfraError
from harness.power.poe_snmp import PoeSnmpPort
from harness.power.port import Timing
from harness.power.snmp import Agent, Credentials
from harness.power.virtual import VirtualPort
from harness.servers import Rig, VirtualBoard
from harness.servers.programs import system_path
from harness.servers.services.poe_switch import ManagementCable, PoePort, PoeSwitch

pytestmark = pytest.mark.netns

BOARDS = (
    VirtualBoard("first", "pi4", "5ce8a2f1", "dc:a6:32:01:02:03"),
    VirtualBoard("second", "pi4", "5ce8a2f2", "dc:a6:32:01:02:04"),
)


@dataclass
class Bench:
    rig: Rig
    switch: PoeSwitch
    port: int

    def poe(self, number: int, limit: float = 15.0) -> PoeSnmpPort:
        credentials = Credentials(community=Secret(self.switch.community))
        agent = Agent("127.0.0.1", self.port, credentials, timeout=5.0, retries=0)
        return PoeSnmpPort(agent, port=number, timing=Timing(limit=limit, poll=0.05))

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
        ports = {number: PoePort(rig.board(board.name).control_socket) for number, board in enumerate(BOARDS, 1)}
        switch = PoeSwitch(rig.keeper, "client", rig.logs, ports=ports, budget=10)
        rig.add_service(switch)
        for number, board in enumerate(BOARDS, 1):
            folder = tmp_path / "run" / board.name / "boot"
            folder.mkdir()
            switch.boot_folder(number, folder)
        cable = stack.enter_context(ManagementCable(rig.keeper, "client"))
        yield Bench(rig, switch, cable.port)


def test_a_board_is_switched_by_snmp(bench: Bench) -> None:
    first, board = bench.poe(1), bench.board("first")
    assert (first.state(), board.state()) == ("off", "off")
    first.on()
    assert first.detail == "deliveringPower, class 4"
    assert board.state() == "on"
    assert bench.board("second").state() == "off"
    first.off()
    assert board.state() == "off"
    assert first.lost_power()


def test_the_budget_of_the_switch(bench: Bench) -> None:
    """Two boards of 7 W on 10 W."""
    bench.poe(1).on()
    with pytest.raises(InfraError, match=r"port 2: denied, power budget \(7 of 10 W in use\)"):
        bench.poe(2).on()
    assert bench.board("second").state() == "off"
    bench.poe(2).off()
    bench.poe(1).off()
    bench.poe(2).on()
    assert bench.board("second").state() == "on"


def test_a_board_whose_emulator_dies_draws_no_power(bench: Bench) -> None:
    bench.poe(1).on()
    process = bench.rig.emulator("first")
    assert process is not None
    process.stop()
    assert bench.poe(1).state() == "unknown", "the port is enabled and searches"


def test_the_switch_restarts(bench: Bench) -> None:
    """Boards go on, as on a switch whose management restarts; ports that deliver are told as such."""
    port = bench.poe(1)
    port.on()
    bench.switch.stop()
    with pytest.raises(InfraError, match=r"no answer|no exchange"):
        bench.poe(1, limit=0.3).state()
    bench.switch.start()
    assert port.state() == "on"
    port.off()
    assert bench.board("first").state() == "off"
