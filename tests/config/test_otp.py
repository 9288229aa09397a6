# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards that start from their boot ROM in lab.yaml: `otp:`, `sd_card:`, `emulation: {strict}`, and what does not fit."""

import pytest

from harness.config import loads
from tests.config.samples import GOOD, one

ROM = (
    GOOD.replace("model: pi4", "model: pi3b")
    .replace('"91cdf03d"', '"0007bcc6"')
    .replace('"e4:5f:01:09:02:f7"', '"b8:27:eb:07:bc:c6"')
)


def test_defaults_are_those_of_a_board_that_boots() -> None:
    board = loads(ROM).boards["a"]
    assert board.otp.net_boot
    assert not board.otp.usb_boot_timeout
    assert board.sd_card == "none"
    assert board.emulation.strict


def test_fuses_card_and_bugs_can_be_set() -> None:
    board = loads(
        ROM + "    otp: {net_boot: false, usb_boot_timeout: true}\n"
        "    sd_card: bootcode\n"
        "    emulation: {strict: false}\n"
    ).boards["a"]
    assert (board.otp.net_boot, board.otp.usb_boot_timeout) == (False, True)
    assert board.sd_card == "bootcode"
    assert not board.emulation.strict


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("otp: {net_boot: maybe}", "net_boot"),
        ("otp: {netboot: true}", "netboot"),
        ("sd_card: raspbian", "sd_card"),
        ("emulation: {strict: 2}", "strict"),
        ("eeprom: {BOOT_ORDER: 0xf2}", "a pi3b has no EEPROM"),
    ],
)
def test_mistakes_are_told_with_what_is_right(line: str, words: str) -> None:
    mistake = one(f"{ROM}    {line}\n")
    assert words in str(mistake)
    assert "-> " in str(mistake)


@pytest.mark.parametrize("line", ["otp: {net_boot: false}", "sd_card: bootcode"])
def test_boards_with_an_eeprom_have_neither_fuses_nor_card(line: str) -> None:
    text = str(one(f"{GOOD}    {line}\n"))
    assert "a pi4 starts from its EEPROM" in text
    assert "eeprom:" in text


def test_mac_address_follows_from_the_serial_number() -> None:
    text = str(one(ROM.replace("07:bc:c6", "07:bc:c7")))
    assert "b8:27:eb:07:bc:c6" in text
    assert "0007bcc6" in text
