# SPDX-License-Identifier: GPL-2.0-or-later
"""Which board a console belongs to."""

import pytest

from harness.boot.events import Milestone
from harness.console.hints import Hints, hints
from harness.console.replay import bare

from . import transcripts


def _hints(data: bytes) -> Hints:
    return hints(event for event in bare(data)[0] if isinstance(event, Milestone))


def test_the_transcripts() -> None:
    assert _hints(transcripts.PI4_2021) == Hints("pi4", "pi4", "2021-07-06")
    assert _hints(transcripts.PI4_FAILS) == Hints("pi4", "pi4", "2024-07-30")
    assert _hints(transcripts.PI5) == Hints("pi5", "pi5", "2025-03-27")
    assert _hints(transcripts.PI3) == Hints(None, "rom", None)


@pytest.mark.parametrize(
    ("line", "model", "family"),
    [
        (b"BOOTMODE: 0x06 partition 0 build-ts BUILD_TIMESTAMP=1 serial 1 boardrev c03141 stc 1", "cm4", "pi4"),
        (b"BOOTMODE: 0x06 partition 0 build-ts BUILD_TIMESTAMP=1 serial 1 boardrev c03130 stc 1", "pi400", "pi4"),
        (b"BOOTMODE: 0x06 partition 0 build-ts BUILD_TIMESTAMP=1 serial 1 boardrev d04180 stc 1", "cm5", "pi5"),
        (b"RPI 3 Model B+ (0xa020d3)", "pi3bplus", "rom"),
        (b"[    0.000000] Machine model: Raspberry Pi 400 Rev 1.0", "pi400", "pi4"),
        (b"[    0.000000] Machine model: Raspberry Pi Compute Module 5 Rev 1.0", "cm5", "pi5"),
        (b"[    0.000000] Machine model: linux,dummy-virt", None, None),
        (b"[    0.000000] Booting Linux on physical CPU 0x0 [0x414fd0b1]", None, "pi5"),
        (b"[    3.700000] lan78xx 1-1.1.1:1.0 eth0: x", "pi3bplus", "rom"),
        (b"[    1.000000] fe201000.serial: ttyAMA0 at MMIO 0xfe201000", None, "pi4"),
        (b"Using ethernet@7d580000 device", None, "pi4"),
        (b"hello", None, None),
    ],
)
def test_one_sign(line: bytes, model: str | None, family: str | None) -> None:
    assert _hints(line + b"\n") == Hints(model, family, None)


def test_a_strong_sign_wins_over_an_earlier_weak_one() -> None:
    assert _hints(b"Raspberry Pi Bootcode\nRPI 2 Model B (0xa22042)\n") == Hints("pi2b", "rom", None)
