# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulator's configuration file, and how its process ends when that file is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.emulator import settings
from harness.emulator.__main__ import main
from harness.errors import ConfigError


def entry(folder: Path, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": "pi4-a",
        "model": "pi4",
        "serial_number": "91cdf03d",
        "mac": "e4:5f:01:09:02:f7",
        "revision": "",
        "tap": "tap-0",
        "speed": 10,
        "eeprom": {},
        "bootloader": "",
        "machine": "virt",
        "memory": 512,
        "control": str(folder / "control"),
        "status": str(folder / "status.json"),
        "artefacts": str(folder / "artefacts"),
        "log": str(folder / "log"),
    }
    return {key: value for key, value in (found | changes).items() if value is not None}


def write(folder: Path, *boards: dict[str, Any]) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({"boards": boards}), encoding="utf-8")
    return path


def test_a_right_one(tmp_path: Path):
    board = settings.load(write(tmp_path, entry(tmp_path)))[0]
    assert (board.name, board.model.name, board.speed, board.memory) == ("pi4-a", "pi4", 10.0, 512)
    assert board.identity.revision == 0xD03114
    assert board.identity.guid().hex() == "003469505" + "21431d000010902f73df0cd91"


def test_defaults(tmp_path: Path):
    gone = dict.fromkeys(("revision", "speed", "eeprom", "bootloader", "machine", "memory"))
    board = settings.load(write(tmp_path, entry(tmp_path, **gone)))[0]
    assert (board.speed, board.machine, board.memory, board.release.date) == (1.0, "virt", 512, "2026-08-04")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "pi9"}, "model: 'pi9' is not one of"),
        ({"model": ["pi4"]}, "model: "),
        ({"serial_number": "91cdf03"}, "serial_number: '91cdf03' is not 8 hexadecimal digits"),
        ({"serial_number": 5}, "serial_number: must be text"),
        ({"mac": "e4:5f"}, "mac: 'e4:5f' is not a MAC address"),
        ({"mac": "01:00:5e:00:00:01"}, "group address"),
        ({"revision": "xyz"}, "revision: "),
        ({"tap": None}, "tap: is missing"),
        ({"tap": "t" * 16}, "longer than 15"),
        ({"speed": 0}, "speed: 0 is not a number from"),
        ({"speed": True}, "speed: "),
        ({"eeprom": {"DHCP_TIMEOUT": 1}}, "DHCP_TIMEOUT: '1' is not allowed"),
        ({"eeprom": []}, "eeprom: must be an object"),
        ({"bootloader": "new"}, "bootloader: 'new' is not a release date"),
        ({"machine": "raspi9"}, "machine: 'raspi9' is not one of virt"),
        ({"memory": 1}, "memory: 1 is not a number of MiB"),
        ({"control": "relative"}, "control: 'relative' is not an absolute path"),
        ({"control": "/" + "x" * 108}, "longer than 107 bytes"),
        ({"colour": "red"}, "colour: no such key"),
    ],
)
def test_mistakes(tmp_path: Path, changes: dict[str, Any], words: str):
    with pytest.raises(ConfigError) as caught:
        settings.load(write(tmp_path, entry(tmp_path, **changes)))
    assert "boards[0]." in caught.value.what
    assert words in caught.value.what


def test_all_mistakes_at_once(tmp_path: Path):
    path = write(tmp_path, entry(tmp_path, speed=-1, memory="x"), entry(tmp_path, mac="x", name=""))
    with pytest.raises(ConfigError) as caught:
        settings.load(path)
    for words in ("boards[0].speed", "boards[0].memory", "boards[1].mac", "boards[1].name"):
        assert words in caught.value.what


def test_two_boards_on_one_tap(tmp_path: Path):
    with pytest.raises(ConfigError, match="two boards have the tap 'tap-0'"):
        settings.load(write(tmp_path, entry(tmp_path), entry(tmp_path)))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"boards": []}', '{"boards": [5]}', '{"boards": {}}'])
def test_files_that_are_no_configuration(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    assert main([str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_wrong_configuration_is_told_in_the_status_file_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = write(tmp_path, entry(tmp_path, speed="fast"))
    assert main([str(path)]) == 2
    assert "speed: 'fast'" in capsys.readouterr().err
    status = json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))
    assert status["state"] == "error"
    assert "speed: 'fast'" in status["error"]


def test_no_file_and_no_argument(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(tmp_path / "gone.json")]) == 2
    assert "No such file" in capsys.readouterr().err
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_fuses_of_a_board_with_a_boot_rom(tmp_path: Path):
    changes = {"model": "pi3b", "otp": {"net_boot": False, "sd_card": "bootcode", "strict": False}}
    board = settings.load(write(tmp_path, entry(tmp_path, **changes)))[0]
    assert (board.otp.net_boot, board.otp.sd_card, board.otp.strict) == (False, "bootcode", False)
    assert board.otp.row17 == 0x1020000A
    assert settings.load(write(tmp_path, entry(tmp_path)))[0].otp.row17 == 0x3020000A


@pytest.mark.parametrize("otp", [{"netboot": True}, {"strict": 1}, {"sd_card": "x"}, []])
def test_wrong_fuses(tmp_path: Path, otp: object):
    with pytest.raises(ConfigError, match="otp"):
        settings.load(write(tmp_path, entry(tmp_path, otp=otp)))
