# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulated board of lab.yaml, as the rig wants it."""

from harness.config import BoardConfig
from harness.models import MODELS
from harness.servers import Faults, VirtualBoard


def virtual_board(config: BoardConfig) -> VirtualBoard:
    """The board with everything that its model and lab.yaml leave to defaults filled in."""
    return VirtualBoard(
        name=config.name,
        model=config.model,
        serial_number=config.serial_number,
        mac=config.mac,
        revision=config.revision or MODELS[config.model].revision,
        speed=config.speed,
        machine=config.emulation.machine,
        memory=config.emulation.memory,
        eeprom={key: str(value) for key, value in config.eeprom.settings().items()},
        bootloader=config.bootloader or "",
        otp={**config.otp.model_dump(), "strict": config.emulation.strict, "sd_card": config.sd_card},
        files=config.emulation.boot_files,
        cable=_cable(config),
        repeats=config.emulation.repeats,
    )


def _cable(config: BoardConfig) -> Faults | None:
    if config.cable is None:
        return None
    faults = config.cable.model_dump()
    return Faults(**{**faults, "rate": config.cable.rate or 0})
