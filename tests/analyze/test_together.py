# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture and console of one boot; and the command."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.analyze import analyze
from harness.cli import app
from harness.commands.analyze import analyze_files
from tests.analyze import packets
from tests.analyze.packets import Wire, names
from tests.analyze.test_console import PI5, SYSTEM

SERIAL, MAC = "0badcafe", "88:a2:9e:0b:ad:01"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    wire = Wire()
    packets.pi5(wire, MAC, SERIAL)
    console = tmp_path / "a"
    console.write_text(PI5 + SYSTEM)
    return wire.save(tmp_path / "b"), console


def test_wire_and_console_of_one_board_are_one_result_in_any_order(files: tuple[Path, Path]) -> None:
    for order in (files, files[::-1]):
        (board,) = analyze(order)
        assert (board.model, board.serial_number, board.mac, board.outcome) == ("pi5", SERIAL, MAC, "login")
        assert names(board.stages)[:3] == ["link", "dhcp", "firmware"]
        assert board.stages[1].evidence[0].source == "packet"
        assert {file.source for file in board.tftp} == {"wire"}
        assert board.bootloader_date == "2025-03-27"
        assert len(board.files) == 2


def test_a_console_without_any_name_joins_the_only_board_of_its_family(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    console = tmp_path / "kernel"
    console.write_text("[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x414fd0b1]\n")
    (board,) = analyze([files[0], console])
    assert board.outcome == "kernel"
    console.write_text("[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]\n")
    assert len(analyze([files[0], console])) == 2


def test_different_boards_stay_apart(tmp_path: Path, files: tuple[Path, Path]) -> None:
    wire = Wire()
    packets.pi5(wire)
    boards = analyze([wire.save(tmp_path / "c"), files[1]])
    assert [board.outcome for board in boards] == ["firmware", "login"]
    both = Wire()
    packets.pi5(both)
    packets.pi5(both, MAC, SERIAL, "10.77.0.9")
    assert [board.outcome for board in analyze([both.save(tmp_path / "c"), files[1]])] == ["firmware", "login"]


def test_what_the_wire_waits_for_is_over_when_the_console_goes_on(tmp_path: Path) -> None:
    wire = Wire()
    client = packets.Client(wire, MAC)
    client.ask(1, 1, *packets.eeprom(b"5iPR", "d04170", MAC, SERIAL))
    console = tmp_path / "console"
    console.write_text(PI5)
    assert analyze([wire.save(tmp_path / "wire")])[0].outcome == "waiting(dhcp)"
    assert analyze([tmp_path / "wire", console])[0].outcome == "kernel"


def test_a_3b_joins_by_the_address_on_its_console(tmp_path: Path) -> None:
    wire = Wire()
    packets.pi3(wire, "b8:27:eb:0a:0b:0c", "000a0b0c")
    packets.pi3(wire, "b8:27:eb:0a:0b:0d", "000a0b0d", address="10.77.0.9")
    console = tmp_path / "console"
    console.write_text(
        "Raspberry Pi Bootcode\nSending DHCP request\n"
        "ARP request: my IP addr 10.77.0.9 my eth_addr b8:27:eb:0a:0b:0d ARP for addr 10.77.0.1\n"
        "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]\n"
    )
    first, second = analyze([wire.save(tmp_path / "wire"), console])
    assert (first.outcome, len(first.files)) == ("firmware", 1)
    assert (second.outcome, second.model, second.serial_number) == ("kernel", "pi3bplus", "000a0b0d")


def test_the_command(tmp_path: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze_files([*files], as_json=True) == 0
    (board,) = json.loads(capsys.readouterr().out)
    assert {"model", "bootloader_date", "stages", "outcome", "failed_stage", "dhcp", "tftp"} <= set(board)
    assert board["outcome"] == "login"
    assert analyze_files([*files], as_json=False) == 0
    plain = capsys.readouterr().out
    assert "Raspberry Pi 5, serial 0badcafe" in plain
    assert ": login" in plain.splitlines()[0]
    failed = tmp_path / "failed"
    failed.write_text(PI5.split(" 12.90", maxsplit=1)[0] + "Firmware not found\n")
    assert analyze_files([failed], as_json=False) == 1
    assert "FAULT" in capsys.readouterr().out


def test_the_command_line(files: tuple[Path, Path]) -> None:
    told = CliRunner().invoke(app, ["analyze", str(files[1]), "--json"])
    assert told.exit_code == 0
    assert json.loads(told.stdout)[0]["outcome"] == "login"
    assert CliRunner().invoke(app, ["analyze", str(files[0].parent)]).exit_code == 2
