# SPDX-License-Identifier: GPL-2.0-or-later
"""bootcode.bin and start.elf: the files that they find and miss, their UART text, and where a bad server leaves them."""

from itertools import pairwise

import pytest

from tests.emulator import rom, samples
from tests.emulator.netserver import NetServer
from tests.emulator.rom import P, boot, discovers, tree


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
