# SPDX-License-Identifier: GPL-2.0-or-later
"""Emulated boards on an emulated PoE switch: their power goes by SNMP, as in a lab with a real switch."""

import socket
from collections.abc import Sequence
from pathlib import Path

from harness.config import Secret
from harness.power.poe_snmp import PoeSnmpPort
from harness.power.port import PowerPort, Timing
from harness.power.snmp import Agent
from harness.power.snmp_credentials import Credentials
from harness.servers.rig import CLIENT, Rig
from harness.servers.services.poe_switch import SNMP_PORT, PoePort, PoeSwitch

#: Seconds for one answer. The switch answers `off` when the board is off, and a virtual machine takes a moment to end.
_ANSWER = 10.0


class EmulatedPoe:
    """The boards have the ports 1, 2 … of a switch of `budget` watts, which is a service of the rig and ends with it.

    The harness speaks to it from inside the rig: no port is opened on this machine. Raises InfraError when snmpd is missing
    or does not start.
    """

    def __init__(self, rig: Rig, boards: Sequence[str], *, budget: int = 65, watts: int = 7) -> None:
        self._numbers = {name: number for number, name in enumerate(boards, 1)}
        ports = {number: PoePort(rig.board(name).control_socket, watts=watts) for name, number in self._numbers.items()}
        private = rig.board(boards[0]).control_socket.parent  # ends with the rig
        self.switch = PoeSwitch(rig.keeper, CLIENT, rig.logs, ports=ports, budget=budget, private=private)
        self._rig = rig
        self._ports: dict[str, PoeSnmpPort] = {}
        rig.add_service(self.switch)

    def port(self, name: str, folder: Path) -> PowerPort:
        """The power port of a board, for a boot whose files go to `folder`."""
        number = self._numbers[name]
        self.switch.boot_folder(number, folder)
        if name not in self._ports:
            credentials = Credentials(community=Secret(self.switch.community))
            agent = Agent("127.0.0.1", SNMP_PORT, credentials, timeout=_ANSWER, retries=0, sockets=self._socket)
            self._ports[name] = PoeSnmpPort(agent, port=number, timing=Timing(limit=15.0, poll=0.05))
        return self._ports[name]

    def _socket(self) -> socket.socket:
        return self._rig.keeper.socket(CLIENT, socket.AF_INET, socket.SOCK_DGRAM)
