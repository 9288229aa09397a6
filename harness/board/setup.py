# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a running board what is in its EEPROM, or fused into it, through its shell."""

from typing import Protocol

from harness.board.bootconf import Row, compare, otp_rows, parse, wanted
from harness.config import BoardConfig, LabConfig
from harness.errors import InfraError
from harness.models import MODELS

#: Programs that tell, the first that is there: of raspi-utils (libraspberrypi-bin before 2024), and of rpi-eeprom. The second
#: is what a root without the firmware's own tools may have.
_EEPROM = ("vcgencmd bootloader_config", "rpi-eeprom-config")
_OTP = ("vcgencmd otp_dump",)


class Shell(Protocol):
    """What is needed of harness.console.shell.Shell: (output, exit status)."""

    def run(self, command: str, timeout: float = 30.0) -> tuple[str, int]: ...


def read(board: BoardConfig, shell: Shell) -> str:
    """bootconf.txt as it is in the board's EEPROM, or its `otp_dump`. InfraError: its system cannot tell."""
    rom = MODELS[board.model].bootloader != "eeprom"
    said = []
    for command in _OTP if rom else _EEPROM:
        program = command.partition(" ")[0]
        output, status = shell.run(f"PATH=$PATH:/usr/sbin:/opt/vc/bin; command -v {program} >/dev/null && {command}")
        if status == 0 and (otp_rows(board, output) if rom else parse(output)):
            return output
        if output.strip():
            said.append(f"{command} said {output.strip().splitlines()[-1][:120]!r}")
    programs = " nor ".join(dict.fromkeys(command.partition(" ")[0] for command in (_OTP if rom else _EEPROM)))
    what = "; ".join(said) or f"it has {'no' if rom else 'neither'} {programs}"
    raise InfraError(
        f"the system on {board.name} does not tell its {'OTP' if rom else 'EEPROM'} settings: {what}",
        remedy="on the board's root file system: apt install raspi-utils (vcgencmd)"
        + ("" if rom else " or rpi-eeprom (rpi-eeprom-config)"),
    )


def compared(lab: LabConfig, board: BoardConfig, shell: Shell) -> list[Row]:
    """Key by key what the lab wants and what the board has. InfraError as `read`."""
    text = read(board, shell)
    return otp_rows(board, text) if MODELS[board.model].bootloader != "eeprom" else compare(wanted(lab, board), text)
