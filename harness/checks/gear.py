# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the gear around real boards: interfaces, serial ports, power drivers, the server's files."""

from collections.abc import Iterator

from harness.checks.boards import board_checks
from harness.checks.console import console_checks
from harness.checks.probes import Check, Probes
from harness.checks.wires import wire_checks
from harness.config import BoardConfig, ExternalServer, LabConfig, PluginPower, SerialConsole
from harness.config.gear import POWER_GROUP


def gear_checks(lab: LabConfig, board: BoardConfig, probes: Probes) -> Iterator[Check]:
    """What stands around one real board."""
    wire, server = lab.wire_of(board), lab.server_of(board)
    yield from wire_checks(wire, probes)
    if isinstance(board.console, SerialConsole):
        yield from console_checks(board.name, board.console, probes)
    if isinstance(board.power, PluginPower):
        why = f"switching {board.name}"
        yield Check(f"power driver {board.power.driver}", True, f"installed (entry point of {POWER_GROUP})", "", why)
    if isinstance(server, ExternalServer) and server.tftp is not None and server.tftp.root is not None:
        yield _tftp_root(server.tftp.root, probes)
    yield from board_checks(lab, board)


def _tftp_root(root: str, probes: Probes) -> Check:
    name, why = f"TFTP root {root}", "comparing what was delivered with the files"
    if not probes.exists(root):
        remedy = "correct tftp.root: in lab.yaml, or remove it when the server is another machine"
        return Check(name, False, "there is no such folder", remedy, why)
    if not probes.may(root, "rx"):
        return Check(name, False, "may not be read", f"let yourself read it, or run with sudo (ls -ld {root})", why)
    return Check(name, True, "may be read", "", why)
