# SPDX-License-Identifier: GPL-2.0-or-later
"""Looks whether this machine has the tools and rights that one lab needs, and says what to install or to change.

Nobody's power, network or services are touched: what is tried is tried in namespaces that end at once. Whether the lab's gear
answers is asked by `harness.inspection`.
"""

from harness.checks.emulated import emulated_checks
from harness.checks.gear import gear_checks
from harness.checks.probes import Check, Probes
from harness.checks.programs import TCPDUMP, program_check
from harness.checks.secrets import secret_checks
from harness.checks.table import failed, format_table
from harness.config import InterfaceWire, LabConfig


def run_checks(lab: LabConfig, probes: Probes | None = None) -> list[Check]:
    """All checks of `lab`, in the order in which a boot would need them. Takes about half a second; never raises."""
    probes = probes or Probes()
    checks: list[Check] = []
    if lab.emulated:
        checks += emulated_checks(lab, probes)
    real = [board for board in lab.boards.values() if not board.emulated]
    if lab.emulated or any(isinstance(lab.wire_of(board), InterfaceWire) for board in real):
        checks.append(program_check(TCPDUMP, probes))
    for board in real:
        checks += gear_checks(lab, board, probes)
    checks += secret_checks(lab)
    # Several boards share a wire or a server: said once.
    return list(dict.fromkeys(checks))


__all__ = ["Check", "failed", "format_table", "run_checks"]
