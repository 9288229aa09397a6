# SPDX-License-Identifier: GPL-2.0-or-later
"""What each real board needs once and cannot be seen from here: EEPROM or OTP, UART, switch port, PoE. Notes, not faults."""

from collections.abc import Iterator

from harness.checks.probes import Check
from harness.config import BoardConfig, ExternalServer, InterfaceWire, LabConfig, SshWire
from harness.config.power import HttpPower, PoeSnmpPower
from harness.config.wire import LabgridWire
from harness.models import MODELS

_PAGE = "docs/boards.md"


def board_checks(lab: LabConfig, board: BoardConfig) -> Iterator[Check]:
    """Notes for one real board."""
    yield _set_up(board)
    yield from _uart(board)
    yield from _poe(board)
    wire = lab.wire_of(board)
    if isinstance(wire, InterfaceWire | SshWire | LabgridWire) and isinstance(lab.server_of(board), ExternalServer):
        yield Check(
            "switch ports of the boards",
            None,
            "their spanning tree cannot be seen from here",
            f"set them to portfast (edge): a port that forwards only after 30 s lets a 3B never boot ({_PAGE})",
            "DHCP in the first seconds after link-up",
        )


def _set_up(board: BoardConfig) -> Check:
    model, name = MODELS[board.model], board.name
    if model.bootloader == "eeprom":
        remedy = (
            f"once: piboot eeprom {name} > bootconf.txt, and write it to the board; then piboot eeprom {name} --compare"
        )
        if model.soc == "BCM2712" and isinstance(board.power, PoeSnmpPower):
            remedy += "; on a PoE HAT that gives 5 A add PSU_MAX_CURRENT=5000"
        return Check(f"EEPROM of {name}", None, "cannot be seen from here", remedy, "network boot without a card")
    if board.model == "pi3bplus":
        return Check(f"OTP of {name}", True, "a 3B+ leaves the factory ready", "", "network boot without a card")
    remedy = (
        f"once: boot it from a card with program_usb_boot_mode=1 in config.txt; then piboot eeprom {name} --compare "
        "must find 17:3020000a"
    )
    return Check(f"OTP of {name}", None, "cannot be seen from here", remedy, "network boot without a card")


def _uart(board: BoardConfig) -> Iterator[Check]:
    why = "every stage after the firmware, and the login"
    if board.console is None:
        remedy = f"wire its UART (GPIO14/15; the debug connector of a Pi 5) and add console: ({_PAGE})"
        yield Check(f"console of {board.name}", None, "it has none in lab.yaml", remedy, why)
    elif MODELS[board.model].bootloader == "rom":
        remedy = (
            "enable_uart=1 and uart_2ndstage=1 in its config.txt; in bootcode.bin: "
            "sed -i s/BOOT_UART=0/BOOT_UART=1/ bootcode.bin"
        )
        yield Check(f"UART of {board.name}", None, "its boot ROM says nothing on it; its files decide", remedy, why)


def _poe(board: BoardConfig) -> Iterator[Check]:
    power = board.power
    if not isinstance(power, PoeSnmpPower) and not (isinstance(power, HttpPower) and power.preset == "unifi"):
        return
    remedy = (
        "once: a PoE HAT (3B+, 4B, 5) or a PoE splitter, and no other supply beside it: the board would live on when the "
        f"port is off ({_PAGE})"
    )
    yield Check(f"PoE HAT of {board.name}", None, "cannot be seen from here", remedy, "power through the switch port")
