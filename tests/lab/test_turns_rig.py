# SPDX-License-Identifier: GPL-2.0-or-later
"""Two emulated boards, one virtual machine at a time: the second waits, off, and its budgets do not run meanwhile."""

import os
import threading
from pathlib import Path

import pytest

from harness.board.watch import Blind
from harness.config import loads
from harness.lab import Lab
from harness.result import Boot
from harness.run import Run
from tests import emulated
from tests.servers.conftest import needs
from tests.stand_ins import small_boot_files

pytestmark = [
    pytest.mark.netns,
    pytest.mark.qemu,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces with a tap"),
    needs("dnsmasq-nfs"),
]

LAB = emulated.lab(
    "turns",
    *(emulated.board(f"pi4-{n}", "pi4", f"5ce8a2f{n}", f"dc:a6:32:01:02:0{n}", login="") for n in (1, 2)),
    emulation="speed: 100, guests: 1",
)


class Notes(Blind):
    def __init__(self) -> None:
        self.waits = threading.Event()
        self.said: list[str] = []

    def progress(self, board: str, text: str) -> None:
        if "waits for its turn" in text:
            self.said.append(f"{board} {text}")
            self.waits.set()


def test_second_board_waits_before_power_on(tmp_path: Path) -> None:
    notes, second = Notes(), list[Boot]()
    run = Run.create(tmp_path / "reports", lab="turns")
    with small_boot_files(tmp_path / "boot"), Lab(loads(LAB), run, viewer=notes) as lab:
        one, two = lab.board("pi4-1"), lab.board("pi4-2")
        first = one.boot(until="firmware")
        thread = threading.Thread(target=lambda: second.append(two.boot(until="firmware")))
        thread.start()
        assert notes.waits.wait(20)
        one.off()
        thread.join(60)
    assert first.verdict == "passed", first.record.reason
    assert second[0].verdict == "passed", second[0].record.reason
    assert len(notes.said) == 1
    assert "1 virtual machines run already (emulation.guests): pi4-1" in notes.said[0]
    assert second[0].record.started > first.record.ended
    assert second[0].record.duration_s < 30
