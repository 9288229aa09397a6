# SPDX-License-Identifier: GPL-2.0-or-later
"""What surrounds a Pi 5: its entry in the emulator's configuration, the processor in QEMU, the stand-in device tree."""

from pathlib import Path

import pytest

from harness.config import LabFileError, loads
from harness.emulator import handover, images, settings
from harness.errors import ConfigError
from harness.models import MODELS
from harness.servers.device_tree import stand_in
from tests.config.samples import GOOD
from tests.emulator.test_settings import entry, write


@pytest.mark.parametrize("name", MODELS)
def test_stand_in_is_a_device_tree_for_the_model(name: str):
    model = MODELS[name]
    data = stand_in(model)
    assert images.dtb_compatible(data) == (model.compatible, f"brcm,{model.soc.lower()}")
    assert b"describes no hardware" in data


def test_processor_of_the_board_or_an_older_one_that_is_told():
    assert handover.cpu_for("cortex-a76", {"cortex-a72", "cortex-a76"}) == ("cortex-a76", ())
    assert handover.cpu_for("cortex-a76", ()) == ("cortex-a76", ())
    cpu, told = handover.cpu_for("cortex-a76", {"cortex-a53", "cortex-a72"})
    assert cpu == "cortex-a72"
    assert "no cortex-a76" in told[0]


def test_bootloader_is_that_of_the_models_soc(tmp_path: Path):
    def board(date: str, model: str = "pi5") -> settings.Settings:
        return settings.load(write(tmp_path, entry(tmp_path, model=model, bootloader=date)))[0]

    assert board("").release.date == "2026-08-12"
    assert board("2023-10-29").identity.fourcc == b"4iPR"
    assert board("2023-10-30").identity.fourcc == b"5iPR"
    assert board("2021-07-06", "cm4").identity.fourcc == b"RPi4"
    with pytest.raises(ConfigError, match="from 2023-09-13 on"):
        board("2021-07-06")


@pytest.mark.parametrize(
    ("model", "date", "words"),
    [("pi5", "2023-09-12", "there was none for a pi5"), ("cm5", "2021-01-01", "2023-09-13")],
)
def test_release_before_the_model(model: str, date: str, words: str):
    with pytest.raises(LabFileError) as caught:
        loads(GOOD.replace("model: pi4", f"model: {model}") + f"    bootloader: {date}\n")
    assert words in str(caught.value.mistakes[0])


def test_board_with_a_boot_rom_has_no_bootloader():
    text = GOOD.replace("model: pi4", "model: pi3b").replace("e4:5f:01:09:02:f7", "b8:27:eb:cd:f0:3d")
    loads(text)
    with pytest.raises(LabFileError, match="boot ROM"):
        loads(text + "    bootloader: 2025-05-08\n")
