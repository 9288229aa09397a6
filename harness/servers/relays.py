# SPDX-License-Identifier: GPL-2.0-or-later
"""Emulated boards on relays: their power goes by gpiozero and a pin, as on a Pi that switches others; the pin is a mock."""

from collections.abc import Sequence
from pathlib import Path

from harness.power.gpio_line import Wiring
from harness.power.gpio_relay import GpioRelayPort
from harness.power.port import PowerPort, Timing
from harness.servers.rig import CLIENT, Rig
from harness.servers.services.relay import Relay

#: GPIO of the first relay; the others follow. A usual one of relay boards.
_FIRST_PIN = 17
#: Seconds for one answer: a relay opens only when the board's virtual machine has ended.
_ANSWER = 15.0


class EmulatedRelays:
    """Each board has a relay of its own, a process of the rig that ends with it. Raises InfraError when one does not start."""

    def __init__(self, rig: Rig, boards: Sequence[str]) -> None:
        self.relays: dict[str, Relay] = {}
        self._ports: dict[str, GpioRelayPort] = {}
        for number, name in enumerate(boards):
            control = rig.board(name).control_socket
            wiring = Wiring(_FIRST_PIN + number, factory="mock")
            relay = Relay(rig.keeper, CLIENT, rig.logs, wiring=wiring, control=control, name=f"relay-{name}")
            rig.add_service(relay)
            self.relays[name] = relay

    def port(self, name: str, folder: Path) -> PowerPort:
        """The power port of a board, for a boot whose files go to `folder`."""
        relay = self.relays[name]
        relay.boot_folder(folder)
        if name not in self._ports:
            timing = Timing(limit=20.0, poll=0.05)
            port = GpioRelayPort(
                relay.wiring, on_exit="off", timing=timing, answer=_ANSWER, folder=relay.line, starts=False
            )
            self._ports[name] = port
        return self._ports[name]

    def close(self) -> None:
        """Let go of the lines: the boards are off then. Safe to repeat."""
        for port in self._ports.values():
            port.close()
        self._ports.clear()
