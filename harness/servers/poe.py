# SPDX-License-Identifier: GPL-2.0-or-later
"""Emulated boards on an emulated PoE switch: their power goes by SNMP, as in a lab with a real switch."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType

from harness.config import Secret
from harness.power.poe_snmp import PoeSnmpPort
from harness.power.port import PowerPort, Timing
from harness.power.snmp import Agent, Credentials
from harness.servers.rig import CLIENT, Rig
from harness.servers.services.poe_switch import ManagementCable, PoePort, PoeSwitch

#: Seconds for one answer. The switch answers `off` when the board is off, and a virtual machine takes a moment to end.
_ANSWER = 10.0


class EmulatedPoe(AbstractContextManager["EmulatedPoe"]):
    """`with EmulatedPoe(rig, ["pi4-a", "pi4-b"]) as poe:` - the boards have the ports 1, 2 … of a switch of `budget` watts.

    The switch is a service of the rig, and ends with it. Raises InfraError when snmpd is missing or does not start.
    """

    def __init__(self, rig: Rig, boards: Sequence[str], *, budget: int = 65, watts: int = 7) -> None:
        self._numbers = {name: number for number, name in enumerate(boards, 1)}
        ports = {number: PoePort(rig.board(name).control_socket, watts=watts) for name, number in self._numbers.items()}
        self.switch = PoeSwitch(rig.keeper, CLIENT, rig.logs, ports=ports, budget=budget)
        self._rig = rig
        self._stack = ExitStack()
        self._ports: dict[str, PoeSnmpPort] = {}

    def __enter__(self) -> "EmulatedPoe":
        self._rig.add_service(self.switch)
        self._cable = self._stack.enter_context(ManagementCable(self._rig.keeper, CLIENT))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def port(self, name: str, folder: Path) -> PowerPort:
        """The power port of a board, for a boot whose files go to `folder`."""
        number = self._numbers[name]
        self.switch.boot_folder(number, folder)
        if name not in self._ports:
            credentials = Credentials(community=Secret(self.switch.community))
            agent = Agent("127.0.0.1", self._cable.port, credentials, timeout=_ANSWER, retries=0)
            self._ports[name] = PoeSnmpPort(agent, port=number, timing=Timing(limit=15.0, poll=0.05))
        return self._ports[name]
