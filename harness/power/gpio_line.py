# SPDX-License-Identifier: GPL-2.0-or-later
"""One GPIO pin with a relay on it, by gpiozero: power on and off as levels of a pin, read back from the pin."""

from dataclasses import dataclass
from typing import Any, Literal

from harness.power.port import State

FactoryName = Literal["lgpio", "pigpio", "native", "rpigpio", "mock"]


@dataclass(frozen=True)
class Wiring:
    """How a relay hangs on a pin. pin: GPIO number (BCM); active_low: the relay board pulls in at low level; contact: the board's
    supply goes through the normally open or the normally closed contact; factory: gpiozero's pin factory, host and port
    for pigpio's, chip for lgpio's.
    """

    pin: int
    active_low: bool = False
    contact: Literal["no", "nc"] = "no"
    factory: FactoryName = "lgpio"
    host: str = ""
    port: int = 8888
    chip: int | None = None

    @property
    def place(self) -> str:
        where = f"{self.host or 'localhost'}:{self.port}" if self.factory == "pigpio" else self.factory
        return f"GPIO{self.pin} ({where})"

    def level(self, want: Literal["on", "off"]) -> bool:
        """The pin's level, True for high, that gives the board power or takes it."""
        energised = (want == "on") == (self.contact == "no")
        return energised != self.active_low

    def make_factory(self) -> Any:
        """gpiozero's pin factory. Raises whatever its library does: no such chip, no connection, not a Raspberry Pi."""
        match self.factory:
            case "lgpio":
                from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415

                return LGPIOFactory(chip=self.chip)
            case "pigpio":
                from gpiozero.pins.pigpio import PiGPIOFactory  # noqa: PLC0415

                return PiGPIOFactory(host=self.host or "localhost", port=self.port)
            case "native":
                from gpiozero.pins.native import NativeFactory  # noqa: PLC0415

                return NativeFactory()
            case "rpigpio":
                from gpiozero.pins.rpigpio import RPiGPIOFactory  # noqa: PLC0415

                return RPiGPIOFactory()
            case "mock":
                from gpiozero.pins.mock import MockFactory  # noqa: PLC0415

                return MockFactory()


class Line:
    """A pin taken as output. It keeps the level that it is found with; closing it makes it an input: the relay then falls to
    wherever its own resistor pulls it, which is why a holder process keeps it open.
    """

    def __init__(self, wiring: Wiring, factory: Any = None) -> None:
        from gpiozero import DigitalOutputDevice  # noqa: PLC0415 - 0.07 s

        self.wiring = wiring
        self._factory = factory or wiring.make_factory()
        self._device = DigitalOutputDevice(wiring.pin, initial_value=None, pin_factory=self._factory)

    def switch(self, want: Literal["on", "off"]) -> None:
        self._device.value = int(self.wiring.level(want))

    def state(self) -> State:
        """What the pin says, not what it was told."""
        level = bool(self._device.value)
        return "on" if level == self.wiring.level("on") else "off"

    def close(self) -> None:
        self._device.close()
        self._factory.close()
