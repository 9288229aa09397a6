# SPDX-License-Identifier: GPL-2.0-or-later
"""A PoE switch for emulated boards: net-snmp's snmpd, with a table of ports (POWER-ETHERNET-MIB) that switches the boards."""

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.redaction import hide
from harness.servers.keeper_client import Keeper
from harness.servers.process import Process
from harness.servers.services import poe_table
from harness.servers.services.dnsmasq import udp_ports
from harness.servers.services.service import Service

#: On the loopback of its host in the rig.
SNMP_PORT = 161


@dataclass(frozen=True)
class PoePort:
    """What hangs on a port. control: the power socket of an emulated board; kind: PoE class, 0-4; watts: what it draws."""

    control: Path
    kind: int = 4
    watts: int = 7


class PoeSwitch(Service):
    """snmpd on the loopback of a host of the rig. ports: by number, from 1; budget: watts. The community is each switch's own;
    private: a folder for the configuration with it, apart from the logs, which are kept.

    `boot_folder` has to be told before a board's port is switched on: the emulated board leaves its files there.
    """

    program = "snmpd"

    def __init__(
        self,
        keeper: Keeper,
        host: str,
        folder: Path,
        *,
        ports: Mapping[int, PoePort],
        budget: int = 65,
        name: str = "poe-switch",
        private: Path | None = None,
    ) -> None:
        super().__init__(name, keeper, host, folder)
        if private is not None:
            self.config = private / f"{name}.conf"
        self.ports = dict(ports)
        self.budget = budget
        self.community = secrets.token_hex(16)
        hide(self.community)

    def boot_folder(self, port: int, folder: Path) -> None:
        """Where the board on `port` leaves the files of its next boot."""
        self._folder_file(port).write_text(f"{folder.absolute()}\n", encoding="utf-8")

    def render(self) -> str:
        table = {
            "budget": self.budget,
            "ports": {
                number: {
                    "control": str(port.control),
                    "folder": str(self._folder_file(number)),
                    "class": port.kind,
                    "watts": port.watts,
                }
                for number, port in self.ports.items()
            },
        }
        table_file = self.folder / f"{self.name}.json"
        table_file.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
        self.config.touch(mode=0o600)
        return (
            f"agentaddress udp:127.0.0.1:{SNMP_PORT}\n"
            f"rwcommunity {self.community}\n"
            f"pass_persist {poe_table.BASE} {sys.executable} -I {poe_table.__file__} {table_file}\n"
        )

    def command(self) -> Sequence[str]:
        # Without the modules that want to reach other daemons.
        return ["snmpd", "-f", "-Lo", "-C", "-c", str(self.config), "-I", "-smux,mteTrigger,mteTriggerConf"]

    def launch(self) -> Process:
        # Debian's snmp tools name MIB files that its licence policy keeps out: hundreds of lines. State is the run's own.
        environment = {"LC_ALL": "C", "MIBS": "", "SNMP_PERSISTENT_DIR": str(self.folder / f"{self.name}.state")}
        return self.keeper.spawn(self.host, self.command(), stdout=self.log, stderr=self.log, env=environment)

    def awaited(self) -> str:
        bound = udp_ports(self.keeper.read(self.host, "/proc/self/net/udp"))
        return "" if SNMP_PORT in bound else f"its SNMP port {SNMP_PORT} is not open"

    def _folder_file(self, port: int) -> Path:
        return self.folder / f"{self.name}.port-{port}"
