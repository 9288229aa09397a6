# SPDX-License-Identifier: GPL-2.0-or-later
"""The other EEPROM boards in an emulated lab: real dnsmasq, the capture judged; a Pi 5 to its login."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.config import loads
from harness.lab import Lab
from harness.run import Run
from tests import emulated
from tests.servers.conftest import needs
from tests.stand_ins import small_boot_files

pytestmark = [
    pytest.mark.netns,
    pytest.mark.qemu,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the emulated lab's NFS server opens files by handle"),
    needs("dnsmasq-nfs"),
]

#: The device tree that each needs.
DEVICE_TREES = {
    "pi400": "bcm2711-rpi-400.dtb",
    "cm4": "bcm2711-rpi-cm4.dtb",
    "pi5": "bcm2712-rpi-5-b.dtb",
    "cm5": "bcm2712-rpi-cm5-cm5io.dtb",
}


@pytest.fixture
def open_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """A lab with one board of each of the models; keys: further ones of each."""
    with ExitStack() as stack:

        def opened(*models: str, **keys: str) -> Lab:
            boards = [
                emulated.board(f"{model}-a", model, f"da59174{number}", f"88:a2:9e:01:02:0{number}", **keys)
                for number, model in enumerate(models)
            ]
            run = Run.create(tmp_path / "reports", lab="models")
            return stack.enter_context(Lab(loads(emulated.lab("models", *boards, emulation="speed: 100")), run))

        yield opened


def test_every_model_takes_its_files_from_dnsmasq(open_lab: Callable[..., Lab], tmp_path: Path):
    with small_boot_files(tmp_path / "boot"):
        lab = open_lab(*DEVICE_TREES)
        lab.rig_of("pi5-a")
    for model, dtb in DEVICE_TREES.items():
        boot = lab.board(f"{model}-a").boot(until="firmware")
        record = boot.record
        assert record.verdict == "passed", (model, record.reason)
        delivered = {transfer.path.split("/", 1)[1] for transfer in record.tftp if transfer.result == "complete"}
        assert {dtb, "kernel8.img", "initramfs8"} <= delivered, (model, delivered)
        five = model in ("pi5", "cm5")
        assert ("start4.elf" in delivered) != five
        assert ("/config.txt" in delivered) == five
        lab.board(f"{model}-a").off()


def test_a_pi_5_boots_to_its_login(open_lab: Callable[..., Lab]):
    boot = open_lab("pi5").board("pi5-a").boot()
    assert boot.record.verdict == "passed", boot.record.reason
    text = (boot.folder / "console.log").read_bytes()
    for line in (b"RPi: BOOTSYS release", b"Starting OS ", b"NOTICE:  BL31", b"login:"):
        assert line in text
    handed = (boot.folder / "handover.json").read_text(encoding="utf-8")
    assert '"raspberrypi,5-model-b"' in handed
    assert "not a BCM2712" in handed
