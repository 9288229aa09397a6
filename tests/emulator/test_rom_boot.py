# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole boots of 2B, 3B and 3B+: order of requests, waits, a card with bootcode.bin alone, and what follows a reboot."""

from itertools import pairwise

import pytest

from tests.emulator.netserver import OPTION_43, NetServer, udp
from tests.emulator.rom import MENU, ORDER, boot, discovers, late, tree
from tests.emulator.simulator import silence


def test_files_are_asked_for_in_the_order_of_a_real_board():
    server = NetServer(tree())
    world = boot(server)
    assert world.ended == "handover", world.text
    assert server.log == ORDER


@pytest.mark.parametrize("model", ["pi2b", "pi3b"])
def test_older_boards_get_there_by_a_late_offer(model: str):
    server = NetServer(tree(model), offer=MENU)
    world = boot(late(server, 1.0), model)
    assert world.ended == "handover", world.halted
    assert world.payload is not None
    assert world.payload.dtb_ok
    assert world.payload.console == "ttyAMA0"
    names = [line.replace("bcm2710-rpi-3-b-plus", f"bcm2710-rpi-{model[2]}-b") for line in ORDER]
    assert server.log == names


def test_no_request_is_ever_sent():
    server = NetServer(tree())
    boot(server)
    assert len(server.discovers) == 2
    assert not server.requests


def test_second_discover_comes_a_tenth_of_a_second_after_bootcode_bin():
    world = boot(NetServer(tree()))
    first, second = discovers(world)
    last_of_rom = max(when for when, frame in world.sent if b"bootsig.bin" in frame) - 1000
    assert first == 10.0
    assert second - last_of_rom == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("model", ["pi2b", "pi3b", "pi3bplus"])
@pytest.mark.parametrize("speed", [1.0, 50.0])
def test_five_discovers_five_seconds_apart_then_silence(model: str, speed: float):
    world = boot(silence, model, speed=speed, seconds=10_000)
    assert discovers(world) == [round(10.0 / speed + 5 * number, 3) for number in range(5)]
    assert world.ended == "halt"
    assert "silent" in world.halted
    assert not world.uart


def test_board_that_is_not_fused_for_it_never_says_a_word():
    world = boot(NetServer(tree()), "pi3b", net_boot=False)
    assert not world.frames
    assert not world.uart
    assert world.ended == "halt"
    assert "1020000a" in world.halted


def test_longer_usb_timeout_of_otp_row_66():
    assert discovers(boot(silence, usb_boot_timeout=True))[0] == 13.0


def test_no_link_no_packets():
    world = boot(silence, link=False)
    assert not world.frames
    assert world.halted == "no link: the boot ROM has given up"


# -- a card with bootcode.bin alone ----------------------------------------------------------------------------------------


def test_card_with_bootcode_bin_goes_round_the_rom():
    server = NetServer(tree("pi3b"), offer=((43, OPTION_43),))
    world = boot(server, "pi3b", sd_card="bootcode", net_boot=False)
    assert world.ended == "handover", world.text
    assert server.log[:7] == ORDER[2:9]
    packets = [packet for packet in map(udp, world.frames) if packet]
    assert len(packets[0].payload) == 322
    assert world.text.startswith(
        "Raspberry Pi Bootcode\r\n"
        "Found SD card, config.txt = 0, start.elf = 0, recovery.elf = 0, timeout = 0\r\n"
        "Trying USB\r\n"
    )
    assert "Initialise ethernet with MAC b8:27:eb:07:bc:c6\r\nWait for Link up\r\nLink up\r\n" in world.text


def test_card_tries_five_times_pauses_and_tries_again():
    world = boot(silence, "pi3b", sd_card="bootcode", seconds=150)
    times = discovers(world)
    gaps = [round(b - a, 1) for a, b in pairwise(times)]
    assert gaps[:4] == [5.0] * 4
    assert gaps[4] > 20
    assert gaps[5:9] == [5.0] * 4
    assert world.ended == "time"


def test_card_without_a_link():
    world = boot(silence, "pi3b", sd_card="bootcode", link=False, seconds=60)
    assert "Failed to initialise link" in world.text
    assert not world.frames


# -- after the hand-over ---------------------------------------------------------------------------------------------------


def test_reboot_starts_at_the_rom_and_power_off_ends():
    server = NetServer(tree())
    world = boot(server, answers=("reset", "shutdown"))
    assert len(server.discovers) == 4
    assert world.halted == "the operating system has switched the board off"
    assert server.log == ORDER * 2
