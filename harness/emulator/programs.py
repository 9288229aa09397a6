# SPDX-License-Identifier: GPL-2.0-or-later
"""What each model runs from power-on."""

from collections.abc import Callable

from harness.emulator import bootloader, bootrom
from harness.emulator.effects import Steps
from harness.emulator.machine import Machine
from harness.models import Model


def program_of(model: Model) -> Callable[[Machine], Steps[None]]:
    """The first program of a model: its boot ROM's, or that of the bootloader in its EEPROM."""
    return bootrom.program if model.bootloader == "rom" else bootloader.program
