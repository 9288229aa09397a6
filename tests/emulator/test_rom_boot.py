# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole boots of 2B, 3B and 3B+ against a scripted server: requests, waits, UART text, and where a bad server leaves them."""

from itertools import pairwise

import pytest

from harness.emulator.packets import Arp, udp_frame
from tests.emulator import rom, samples
from tests.emulator.netserver import BOARD_IP, OPTION_43, SERVER_IP, SERVER_MAC, NetServer, udp
from tests.emulator.rom import MAC, SPACED, P, boot, late, tree
from tests.emulator.simulator import Wire, World, silence

#: dnsmasq log of a 3B+ with Raspberry Pi OS Bookworm, 2025-09-26 (norcal-technologies/pi-network-boot); the overlay is
#: this tree's. dnsmasq logs bootsig.bin first; the captures of FW#745 and FW#1041 show that bootcode.bin is.
ORDER = [
    "G bootcode.bin",
    "N bootsig.bin",
    # bootcode.bin is the client from here on
    f"P {P}start.elf",
    f"N {P}autoboot.txt",
    f"P {P}start.elf",
    f"G {P}config.txt",
    f"N {P}recovery.elf",
    f"G {P}start.elf",
    f"G {P}fixup.dat",
    # start.elf is the client from here on
    f"N {P}recovery.elf",
    f"P {P}config.txt",
    f"G {P}config.txt",
    f"N {P}dt-blob.bin",
    f"N {P}recovery.elf",
    f"P {P}config.txt",
    f"G {P}config.txt",
    f"N {P}bootcfg.txt",
    f"N {P}recovery8.img",
    f"P {P}kernel8.img",
    f"P {P}kernel8.img",
    f"P {P}initramfs8",
    f"P {P}initramfs8",
    f"P {P}initramfs8",
    f"G {P}initramfs8",
    f"P {P}bcm2710-rpi-3-b-plus.dtb",
    f"G {P}bcm2710-rpi-3-b-plus.dtb",
    f"P {P}overlays/overlay_map.dtb",
    f"G {P}overlays/overlay_map.dtb",
    f"P {P}config.txt",
    f"G {P}config.txt",
    f"P {P}overlays/disable-bt.dtbo",
    f"G {P}overlays/disable-bt.dtbo",
    f"P {P}cmdline.txt",
    f"G {P}cmdline.txt",
    f"N {P}armstub8.bin",
    f"P {P}kernel8.img",
    f"G {P}kernel8.img",
]
MENU = ((43, SPACED),)


def discovers(world: World) -> list[float]:
    """When DISCOVERs were sent, seconds after power-on."""
    return [round(when - 1000, 3) for when, frame in world.sent if (packet := udp(frame)) and packet.dport == 67]


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


# -- what the 3B's ROM cannot do -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("strict", "boots"), [(True, False), (False, True)])
def test_offer_that_comes_at_once_is_not_heard(strict: bool, boots: bool):
    server = NetServer(tree("pi3b"), offer=MENU)
    world = boot(server, "pi3b", strict=strict)
    assert (world.ended == "handover") is boots
    if not boots:
        assert len(server.discovers) == 5
        assert not server.log


def noise(now: float, frame: bytes, *delays: float) -> list[tuple[float, bytes]]:
    """Broadcasts of a third machine after each DISCOVER."""
    packet = udp(frame)
    if packet is None or packet.dport != 67:
        return []
    hello = Arp(1, SERVER_MAC, SERVER_IP, b"\0" * 6, bytes((10, 77, 0, 99))).frame(b"\xff" * 6)
    return [(delay, hello) for delay in delays]


@pytest.mark.parametrize(
    ("delays", "boots"),
    [
        ((0.6, 1.2), True),  # what netboot-rpi3b sends
        ((1.2,), False),  # more than a second of silence after the OFFER at 0.001 s: too late
        ((0.98,), True),
        ((0.3, 0.6), False),  # never a packet after a second
    ],
)
def test_later_packets_of_anybody_help(delays: tuple[float, ...], boots: bool):
    server = NetServer(tree("pi3b"), offer=MENU)
    world = boot(lambda now, frame: [*server(now, frame), *noise(now, frame, *delays)], "pi3b")
    assert (world.ended == "handover") is boots


def test_packets_to_others_do_not_help():
    server = NetServer(tree("pi3b"), offer=MENU)
    other = udp_frame((SERVER_MAC, b"\2" * 6), (SERVER_IP, BOARD_IP), (9, 9), b"x", ttl=1, ident=1, checksum=True)

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        return [*server(now, frame), *((0.98, other) for _ in noise(now, frame, 1))]

    assert boot(wire, "pi3b").ended == "halt"


def test_offer_without_spaces_is_for_the_3bplus_only():
    for model, boots in (("pi3b", False), ("pi2b", False), ("pi3bplus", True)):
        server = NetServer(tree(model), offer=((43, OPTION_43),))
        assert (boot(late(server, 1.0), model).ended == "handover") is boots


@pytest.mark.parametrize(("model", "strict", "boots"), [("pi3b", True, 0), ("pi3b", False, 1), ("pi3bplus", True, 1)])
def test_relay(model: str, strict: bool, boots: int):
    server = NetServer(tree(model), offer=MENU, hops=1)
    assert (boot(late(server, 1.0), model, strict=strict).ended == "handover") == bool(boots)


def elsewhere(model: str, strict: bool) -> tuple[World, list[bytes]]:
    """The TFTP server is in another network; the gateway's MAC answers for it. Gives the addresses asked by ARP, too."""
    far = bytes((192, 0, 2, 7))
    server = NetServer(tree(model), offer=((43, SPACED), (66, b"192.0.2.7")))
    files = NetServer(tree(model), ip=far)
    asked = []

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        if frame[12:14] == b"\x08\x06":
            asked.append(frame[38:42])
            return server(now, frame)
        if frame[:6] not in (SERVER_MAC, b"\xff" * 6):
            return []
        packet = udp(frame)
        return files(now, frame) if packet and packet.dst == far else server(now, frame)

    return boot(late(wire, 1.0), model, strict=strict), asked


def test_server_in_another_network():
    world, asked = elsewhere("pi3bplus", True)
    assert world.ended == "handover"
    assert set(asked) == {SERVER_IP}
    world, asked = elsewhere("pi3b", True)
    assert world.ended == "halt"
    assert set(asked) == {bytes((192, 0, 2, 7))}
    # The 3B asks nobody for its file (FW#975).
    lost = [frame for frame in world.frames if frame[:6] == b"\xaa" * 6]
    assert lost
    assert b"bootcode.bin" in lost[0]


def arp_for_the_board(server: Wire, at: bytes) -> tuple[Wire, list[bytes]]:
    """The server refreshes its ARP entry when it is asked for a file whose name has `at` in it."""
    answers: list[bytes] = []
    asked: list[bytes] = []

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\x02":
            answers.append(frame)
        more = []
        if at in frame and not asked:
            asked.append(frame)
            more = [(0.0001, Arp(1, SERVER_MAC, SERVER_IP, MAC, BOARD_IP).frame(MAC))]
        return [*more, *server(now, frame)]

    return wire, answers


@pytest.mark.parametrize(
    ("model", "at", "answered"),
    [
        ("pi3b", b"bootcode.bin", 0),
        ("pi3b", b"\x08\x06\0\1\x08\0\6\4\0\1", 1),  # while it asks for the server's MAC itself
        ("pi3bplus", b"bootcode.bin", 1),
        ("pi3b", b"config.txt", 1),
    ],
)
def test_old_rom_answers_no_arp_during_transfers(model: str, at: bytes, answered: int):
    wire, answers = arp_for_the_board(NetServer(tree(model), offer=MENU), at)
    assert boot(late(wire, 1.0), model).ended == "handover"
    assert len(answers) == answered


def test_siaddr_and_file_name_are_ignored():
    server = NetServer(tree(), offer=((67, b"other.bin"), *MENU), siaddr=bytes((10, 77, 0, 200)))
    assert boot(server).ended == "handover"
    assert server.log[0] == "G bootcode.bin"


# -- files -----------------------------------------------------------------------------------------------------------------


def test_without_a_directory_of_its_own_the_root_is_used():
    server = NetServer(tree(prefix=""))
    assert boot(server).ended == "handover"
    assert server.log[2:8] == [
        *(f"N {P}start.elf", "N autoboot.txt", "G config.txt", "N recovery.elf", "G start.elf", "G fixup.dat")
    ]


def test_missing_bootcode_bin_uses_up_the_five_tries():
    server = NetServer({})
    world = boot(server)
    assert server.log == ["N bootcode.bin"] * 5
    assert discovers(world) == [10.0, 15.0, 20.0, 25.0, 30.0]
    assert world.ended == "halt"


def test_missing_start_elf_is_four_flashes():
    server = NetServer(tree(start_elf=None))
    world = boot(server)
    assert world.halted == "start.elf was not found: the LED flashes 4 times"
    assert server.log[2:] == [*(f"N {P}start.elf", "N autoboot.txt", "N config.txt", "N recovery.elf", "N start.elf")]


def test_server_that_knows_no_options_has_no_files_for_start_elf():
    """FW#1913 (netkit-tftp): bootcode.bin loads start.elf, which then finds nothing."""
    server = NetServer(tree(), oack=False)
    world = boot(server)
    assert f"G {P}start.elf" in server.log
    assert f"G {P}fixup.dat" in server.log
    assert f"G {P}kernel8.img" not in server.log
    assert world.ended == "halt"
    assert "brfs: File read: -2 bytes" in world.text
    assert "LED code 0/7" in world.halted


def test_file_that_stalls_counts_as_missing_after_ten_seconds():
    server = NetServer(tree())
    world = boot(lambda now, frame: [] if b"fixup.dat\0" in frame else server(now, frame))
    assert world.ended == "handover"
    first = next(when for when, frame in world.sent if b"fixup.dat\0" in frame)
    after = [when for when, frame in world.sent if b"recovery.elf\0" in frame][1]
    assert after - first == pytest.approx(10.25, abs=0.3)  # FW#1292: 10.37 s


def test_32_bit_kernel():
    """FW#1605, FW#1362."""
    config = b"uart_2ndstage=1\nenable_uart=1\n"
    server = NetServer(tree(config_txt=config, kernel8_img=None, **{"kernel7.img": samples.kernel()}))
    world = boot(server)
    assert world.ended == "handover", world.halted
    tail = server.log[server.log.index(f"G {P}cmdline.txt") + 1 :]
    assert tail == [
        *(f"N {P}recovery7.img", f"N {P}recovery.img", f"N {P}kernel8-32.img", f"N {P}kernel8.img"),
        *(f"P {P}kernel7.img", f"N {P}armstub8-32.bin", f"P {P}kernel7.img", f"G {P}kernel7.img"),
    ]
    assert "Loading 'kernel7.img' to 0x8000" in world.text


@pytest.mark.parametrize(
    ("config", "kernel"), [(b"", "kernel8.img"), (b"arm_64bit=0\n", "kernel7.img"), (b"arm_64bit=1\n", "kernel8.img")]
)
def test_width_of_the_kernel(config: bytes, kernel: str):
    server = NetServer(tree(config_txt=config, **{"kernel7.img": samples.kernel()}))
    payload = boot(server).payload
    assert payload is not None
    assert payload.kernel.path == P + kernel


def test_delivered_device_tree_is_held_against_the_model():
    payload = boot(NetServer(tree())).payload
    assert payload is not None
    assert payload.dtb_ok
    assert payload.compatible[0] == "raspberrypi,3-model-b-plus"
    files = tree() | {f"{P}bcm2710-rpi-3-b-plus.dtb": samples.dtb("raspberrypi,3-model-b")}
    payload = boot(NetServer(files)).payload
    assert payload is not None
    assert not payload.dtb_ok


# -- UART ------------------------------------------------------------------------------------------------------------------


def test_text_of_a_boot_from_the_network():
    """FW#1124 (banner), FW#941, FW#1041, FW#1292 (the other lines)."""
    lines = boot(NetServer(tree())).text.split("\r\n")
    assert lines[:10] == [
        "Raspberry Pi Bootcode",
        "USB ethernet boot",
        "Sending DHCP request",
        "Waiting for dhcp_reply",
        "ARP request: my IP addr 10.77.0.50 my eth_addr b8:27:eb:07:bc:c6 ARP for addr 10.77.0.1",
        "Done ARP for 10.77.0.1 got 02:00:00:00:00:01",
        f"Read File: config.txt, {len(samples.CONFIG)}",
        "Read File: start.elf, 3000 (bytes)",
        "Read File: fixup.dat, 500 (bytes)",
        lines[9],
    ]
    for words in (
        "brfs: File read: /mfs/sd/config.txt",
        "dtb_file 'bcm2710-rpi-3-b-plus.dtb'",
        "Loading 'bcm2710-rpi-3-b-plus.dtb' to 0x100 size 0x",
        "Read command line from file 'cmdline.txt':",
        "Loading 'kernel8.img' to 0x",
        "arm_loader: Starting ARM with 948MB",
    ):
        assert any(line.startswith("MESS:00:00:1") and words in line for line in lines), words


def test_bootcode_bin_is_silent_unless_it_was_patched():
    files = tree() | {"bootcode.bin": rom.BOOTCODE.replace(b"BOOT_UART=1", b"BOOT_UART=0")}
    world = boot(NetServer(files))
    assert world.ended == "handover"
    assert world.uart.startswith(b"MESS:")
    quiet = tree(config_txt=b"arm_64bit=1\n") | {"bootcode.bin": b"\0" * 700}
    assert not boot(NetServer(quiet)).uart


def test_nobody_answers_arp():
    server = NetServer(tree())

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        # The ROM is answered, bootcode.bin is not.
        deaf = frame[12:14] == b"\x08\x06" and len(server.discovers) > 1
        return [] if deaf else server(now, frame)

    world = boot(wire, seconds=30)
    assert "No response from ARP request" in world.text
    assert world.text.count("Sending DHCP request") >= 3


def test_bootcode_bin_gives_up_after_a_minute():
    server = NetServer(tree())

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        return [] if server.log[-1:] == ["N bootsig.bin"] else server(now, frame)

    world = boot(wire)
    times = discovers(world)
    assert len(times) == 1 + 12
    assert {round(b - a, 2) for a, b in pairwise(times[1:])} == {5.0}
    assert world.ended == "halt"


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
