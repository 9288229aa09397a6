# SPDX-License-Identifier: GPL-2.0-or-later
"""A board of the lab as the software Pi plays it: its identity, its EEPROM, its programs, on a clock that may be moved."""

import random
import time
from dataclasses import dataclass, field

from harness.config import BoardConfig
from harness.emulator import settings
from harness.emulator.machine import Machine
from harness.emulator.settings import Settings
from harness.models import MODELS


@dataclass
class Clock:
    """Monotonic seconds; what a board only waits for is skipped."""

    skipped: float = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.skipped

    def to(self, when: float) -> None:
        self.skipped += max(0.0, when - self())


@dataclass
class Pi:
    """settings: as the emulator has them; machine: its state between the DISCOVER and the kernel."""

    settings: Settings
    clock: Clock = field(default_factory=Clock)
    machine: Machine = field(init=False)

    def __post_init__(self) -> None:
        made = self.settings
        self.machine = Machine(
            model=made.model,
            identity=made.identity,
            eeprom=made.eeprom,
            release=made.release,
            clock=self.clock,
            rng=random.Random(),  # noqa: S311 - xids and ports are no secrets
            otp=made.otp,
        )

    @property
    def is_rom(self) -> bool:
        return self.settings.model.bootloader == "rom"


def pi_of(board: BoardConfig) -> Pi:
    """The board with its own MAC address, serial number and EEPROM settings: what a server's reservations and tags go by."""
    entry = {
        "name": board.name,
        "model": board.model,
        "serial_number": board.serial_number,
        "mac": board.mac,
        "revision": board.revision or MODELS[board.model].revision,
        "tap": "none",
        "wire": "interface",
        "machine": "none",
        "eeprom": {key: str(value) for key, value in board.eeprom.settings().items()},
        "bootloader": board.bootloader or "",
        "otp": {**board.otp.model_dump(), "sd_card": board.sd_card},
        **dict.fromkeys(("control", "status", "artefacts", "log"), "/-"),
    }
    return Pi(settings.board(entry))
