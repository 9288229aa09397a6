# SPDX-License-Identifier: GPL-2.0-or-later
"""What feeds the emulated boards of one rig: the harness itself, the ports of an emulated PoE switch, emulated relays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import EmulatedPower
from harness.power.virtual import VirtualPort

if TYPE_CHECKING:
    from harness.config import BoardConfig
    from harness.power.port import PowerPort
    from harness.servers import Rig
    from harness.servers.poe import EmulatedPoe
    from harness.servers.relays import EmulatedRelays


class Feeds:
    """boards: those of the rig, by name. The switch and the relays start when the first board that hangs on them is asked for."""

    def __init__(self, rig: Rig, boards: Mapping[str, BoardConfig]) -> None:
        self._rig = rig
        self._gear = {
            name: board.power.gear for name, board in boards.items() if isinstance(board.power, EmulatedPower)
        }
        self._poe: EmulatedPoe | None = None
        self._relays: EmulatedRelays | None = None

    @property
    def poe(self) -> EmulatedPoe:
        """The PoE switch. InfraError: snmpd is missing, or does not start."""
        if self._poe is None:
            from harness.servers.poe import EmulatedPoe  # noqa: PLC0415 - brings SNMP

            self._poe = EmulatedPoe(self._rig, self._on("poe-switch"))
        return self._poe

    @property
    def relays(self) -> EmulatedRelays:
        """The relays. InfraError: one does not start."""
        if self._relays is None:
            from harness.servers.relays import EmulatedRelays  # noqa: PLC0415

            self._relays = EmulatedRelays(self._rig, self._on("relay"))
        return self._relays

    def ready(self, name: str) -> None:
        """Start what the board hangs on. InfraError."""
        match self._gear[name]:
            case "poe-switch":
                _ = self.poe
            case "relay":
                _ = self.relays

    def port(self, name: str, virtual: VirtualPort, folder: Path) -> PowerPort:
        """The power port of a board, for a boot whose files go to `folder`. virtual: the board's own."""
        virtual.folder = folder
        match self._gear[name]:
            case "poe-switch":
                return self.poe.port(name, folder)
            case "relay":
                return self.relays.port(name, folder)
            case _:
                return virtual

    def close(self) -> None:
        """Let go of what is held in this process; the switch and the relays end with the rig."""
        if self._relays is not None:
            self._relays.close()

    def _on(self, gear: str) -> list[str]:
        return [name for name, found in self._gear.items() if found == gear]
