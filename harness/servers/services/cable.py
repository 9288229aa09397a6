# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's bad cable, as a service of the rig: it may be mended (`stop`: nothing passes any more; other `faults`: restart)."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from harness.servers.cable import Faults
from harness.servers.keeper_client import Keeper
from harness.servers.services.service import Service


class BadCable(Service):
    """Carries a board's frames between its tap and its port of the switch. `faults` counts from the next start."""

    program = sys.executable

    def __init__(
        self, keeper: Keeper, host: str, folder: Path, *, board: str, tap: str, switch: str, faults: Faults
    ) -> None:
        super().__init__(f"cable-{board}", keeper, host, folder)
        self.faults = faults
        self._tap, self._switch = tap, switch

    def render(self) -> str:
        ends = {"board": self._tap, "switch": self._switch, "faults": asdict(self.faults)}
        return json.dumps(ends, indent=2) + "\n"

    def command(self) -> Sequence[str]:
        return [sys.executable, "-P", "-m", "harness.servers.cable", str(self.config)]

    def awaited(self) -> str:
        return "" if "ready\n" in self.new_log() else "does not carry anything"
