# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether this machine has a QEMU that is new enough for the virtual machines of a lab's boards."""

from collections.abc import Iterator

from harness.checks.probes import Check
from harness.config import LabConfig
from harness.emulator import qemu_program
from harness.errors import ConfigError, InfraError


def machine_checks(lab: LabConfig) -> Iterator[Check]:
    """One for each machine that not every QEMU has; nothing without any QEMU, which is another check's finding."""
    boards = [board for board in lab.boards.values() if board.emulated]
    for machine in sorted({board.emulation.machine for board in boards} & set(qemu_program.NEEDS)):
        name, why = f"machine {machine}", "booting the kernel with the delivered device tree"
        try:
            program = qemu_program.find(machine)
        except InfraError:
            continue
        except ConfigError as error:
            yield Check(name, False, error.what.partition("; ")[2], f"{error.what}: {error.remedy}", why)
        else:
            yield Check(name, True, f"{program.path}, {'.'.join(map(str, program.number))}", "", why)
