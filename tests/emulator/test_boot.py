# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole boots of the Pi 4 against a scripted server: order of requests, fall-backs, and where a broken server leaves it."""

import pytest

from harness.emulator.packets import udp_frame
from tests.emulator import samples
from tests.emulator.netserver import BOARD_IP, SERVER_IP, SERVER_MAC, NetServer, udp
from tests.emulator.simulator import MAC, World, boot, silence

P = "91cdf03d/"
#: Facts, list B (Pi 4B, dnsmasq, 2022-10-21) for the EEPROM stage; lists A and C for what auto_initramfs adds.
ORDER = [
    f"P {P}start4.elf",
    f"G {P}config.txt",
    f"N {P}pieeprom.sig",
    f"N {P}recover4.elf",
    f"N {P}recovery.elf",
    f"G {P}start4.elf",
    f"G {P}fixup4.dat",
    # start4.elf is the client from here on
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
    f"P {P}bcm2711-rpi-4-b.dtb",
    f"G {P}bcm2711-rpi-4-b.dtb",
    f"P {P}overlays/overlay_map.dtb",
    f"G {P}overlays/overlay_map.dtb",
    f"P {P}config.txt",
    f"G {P}config.txt",
    f"P {P}overlays/disable-bt.dtbo",
    f"G {P}overlays/disable-bt.dtbo",
    f"P {P}cmdline.txt",
    f"G {P}cmdline.txt",
    f"P {P}kernel8.img",
    f"N {P}armstub8-gic.bin",
    f"P {P}kernel8.img",
    f"G {P}kernel8.img",
]


def test_boot_asks_for_the_files_in_the_order_of_a_real_board():
    server = NetServer(samples.tree())
    world = boot(server)
    assert world.ended == "handover", world.text
    # The kernel's first two probes come before the initramfs, the others around the ARM stub.
    expected = [line for line in ORDER if line]
    assert server.log == expected


def test_explicit_kernel_and_initramfs_follow_the_list_of_ubuntu():
    config = b"[pi4]\nkernel=vmlinux\ninitramfs initrd.img followkernel\n[all]\ninclude syscfg.txt\n"
    files = samples.tree(
        "",
        config_txt=config,
        kernel8_img=None,
        initramfs8=None,
        vmlinux=samples.kernel(),
        **{"initrd.img": b"rd" * 900, "syscfg.txt": b"enable_uart=1\n"},
    )
    server = NetServer(files)
    world = boot(server)
    assert world.ended == "handover", world.text
    tail = server.log[server.log.index("N bootcfg.txt") :]
    gets = [line for line in tail if not line.startswith("P")]
    assert gets == [
        "N bootcfg.txt",
        "G initrd.img",
        "G bcm2711-rpi-4-b.dtb",
        "G overlays/overlay_map.dtb",
        "G config.txt",
        "G syscfg.txt",
        "G cmdline.txt",
        "N armstub8-gic.bin",
        "G vmlinux",
    ]
    assert server.log[:3] == [f"N {P}start4.elf", f"N {P}start.elf", "G config.txt"]


def test_what_was_received_is_handed_over_as_it_is():
    files = samples.tree()
    payload = boot(NetServer(files)).payload
    assert payload is not None
    assert payload.kernel.path == f"{P}kernel8.img"
    assert payload.kernel.data == files[f"{P}kernel8.img"]
    assert payload.initramfs is not None
    assert payload.initramfs.data == files[f"{P}initramfs8"]
    assert payload.dtb_ok
    assert payload.compatible == ("raspberrypi,4-model-b", "brcm,bcm2711")
    assert payload.cmdline_received == samples.CMDLINE.decode().splitlines()[0]
    assert payload.cmdline == payload.cmdline_received.replace("serial0", "ttyAMA0")
    assert payload.console == "ttyAMA0"


def test_without_a_firmware_directory_the_root_is_used():
    server = NetServer(samples.tree(""))
    world = boot(server)
    assert world.ended == "handover"
    assert server.log[:4] == [f"N {P}start4.elf", f"N {P}start.elf", "G config.txt", "N pieeprom.sig"]


def test_prefix_stays_when_only_start_elf_is_there():
    server = NetServer({f"{P}start.elf": samples.elf()})
    world = boot(server, seconds=20)
    assert server.log[:3] == [f"N {P}start4.elf", f"P {P}start.elf", f"N {P}config.txt"]
    assert f"G {P}start.elf" in server.log
    assert "start.elf: is not compatible" in world.text


def test_a_server_that_has_nothing_is_asked_again_and_again():
    server = NetServer({})
    world = boot(server, seconds=60)
    one_round = [
        *(f"N {P}start4.elf", f"N {P}start.elf", "N config.txt", "N pieeprom.sig", "N recover4.elf", "N recovery.elf"),
        *("N start4.elf", "N start.elf"),
    ]
    assert server.log[:16] == one_round * 2
    assert "Firmware not found" in world.text
    assert "Boot mode: RESTART (0f) order 0" in world.text
    assert "Restart 1 max -1" in world.text
    assert "Restart 2 max -1" in world.text


@pytest.mark.parametrize(
    ("key", "prefix"),
    [({"TFTP_PREFIX": 1, "TFTP_PREFIX_STR": "lab/pi/"}, "lab/pi/"), ({"TFTP_PREFIX": 2}, "e4-5f-01-09-02-f7/")],
)
def test_prefix_by_eeprom(key: dict[str, object], prefix: str):
    server = NetServer(samples.tree(prefix))
    assert boot(server, keys=key).ended == "handover"
    assert server.log[0] == f"P {prefix}start4.elf"


def test_missing_kernel_leaves_the_board_standing():
    server = NetServer(samples.tree(kernel8_img=None))
    world = boot(server)
    assert world.ended == "halt"
    assert "kernel8.img" in world.halted
    assert "LED code 0/7" in world.halted
    assert "No compatible kernel found" in world.text
    names = [line[2 + len(P) :] for line in server.log if "kernel" in line or "recovery" in line]
    assert names[-8:] == [
        *("recovery8.img", "kernel8.img", "recovery7l.img", "kernel7l.img"),
        *("recovery7.img", "kernel7.img", "recovery.img", "kernel.img"),
    ]


def test_missing_device_tree_means_silence_after_the_kernel_is_loaded():
    world = boot(NetServer(samples.tree(bcm2711_rpi_4_b_dtb=None)))
    assert world.ended == "halt"
    assert "Failed to load Device Tree file 'bcm2711-rpi-4-b.dtb'" in world.text
    assert "device tree" in world.halted


def test_broken_device_tree_stops_the_board():
    world = boot(NetServer(samples.tree(bcm2711_rpi_4_b_dtb=samples.dtb()[:60])))
    assert world.ended == "halt"
    assert "dterror: not a valid FDT" in world.text


def test_device_tree_of_another_board_is_told():
    payload = boot(NetServer(samples.tree(bcm2711_rpi_4_b_dtb=samples.dtb("raspberrypi,3-model-b")))).payload
    assert payload is not None
    assert not payload.dtb_ok


def test_truncated_kernel_and_initramfs_go_on_as_they_are():
    payload = boot(NetServer(samples.tree(kernel8_img=b"garbage", initramfs8=b"\x1f\x8b"))).payload
    assert payload is not None
    assert payload.kernel.data == b"garbage"
    assert payload.initramfs is not None
    assert payload.initramfs.data == b"\x1f\x8b"
    assert any("no arm64 Image" in note for note in payload.notes)


def test_broken_gzip_kernel_is_noticed_by_the_firmware():
    world = boot(NetServer(samples.tree(kernel8_img=b"\x1f\x8b\x08\0" + b"x" * 500)))
    assert world.ended == "halt"
    assert "kernel GZIP decompression failed" in world.text


def test_missing_cmdline_is_an_empty_one():
    world = boot(NetServer(samples.tree(cmdline_txt=None)))
    assert world.payload is not None
    assert world.payload.cmdline == ""
    assert "Failed to open command line file 'cmdline.txt'" in world.text


def test_truncated_start4_elf_does_not_start():
    world = boot(NetServer(samples.tree(start4_elf=samples.elf()[:500])), seconds=30)
    assert "ELF loader error: 'segment cut short'" in world.text
    assert "Starting start4.elf" not in world.text


def test_missing_fixup_is_told_and_survived():
    world = boot(NetServer(samples.tree(fixup4_dat=None)))
    assert world.ended == "handover"
    assert "Missing/empty 'fixup4.dat' continuing" in world.text


def test_reboot_of_the_guest_starts_over_and_power_off_halts():
    server = NetServer(samples.tree())
    world = boot(server, answers=["reset", "shutdown"])
    assert world.ended == "halt"
    assert "switched the board off" in world.halted
    assert world.text.count("RPi: BOOTLOADER release") == 2
    assert "PM_RSTS: 0x00001000" in world.text
    assert "PM_RSTS: 0x00000020" in world.text
    assert [up for _t, up in world.links] == [False, True, False, True]
    # After a reset the IP identification starts again.
    discovers = [packet.ident for packet in server.discovers]
    assert discovers == [0x506A, 0x506A]


def test_no_link_is_given_up_after_dhcp_timeout():
    world = boot(silence, link=False, seconds=55)
    assert not world.frames
    for line in ("wait for link TFTP: 0.0.0.0", "Stopping network", "NETBOOT CANCEL", "NETBOOT init failed"):
        assert line in world.text
    assert "LINK STATUS" not in world.text


def test_stop_halts_and_an_order_that_ends_waits_for_a_card():
    assert boot(silence, keys={"BOOT_ORDER": "0xe2"}).halted == "BOOT_ORDER says STOP"
    world = boot(silence, keys={"BOOT_ORDER": 2})
    assert "Boot mode: SD (00) order 0\r\n" in world.text.replace(world.text[:0], "")
    assert "Insert SD-CARD" in world.text
    assert world.ended == "halt"


def test_sd_and_usb_come_first_when_the_order_says_so():
    world = boot(NetServer(samples.tree()), keys={"BOOT_ORDER": "0xf241"})
    modes = [line.split("Boot mode: ")[1] for line in world.text.splitlines() if "Boot mode" in line]
    assert modes == ["SD (01) order f24", "USB-MSD (04) order f2", "NETWORK (02) order f"]
    assert world.sent[0][0] - 1000 == pytest.approx(2.5 + 0.3 + 25 + 2.8 + 0.12, abs=0.1)


def test_net_boot_max_retries_pauses_five_seconds():
    server = NetServer({})
    world = boot(server, keys={"NET_BOOT_MAX_RETRIES": 2, "BOOT_ORDER": "0xe2"})
    assert world.text.count("Retry NETWORK") == 2
    times = [when for when, frame in world.sent if (p := udp(frame)) and p.dport == 67 and p.dhcp_kind == 1]
    assert len(times) == 3
    assert times[1] - times[0] == pytest.approx(5 + 2.8 + 0.12, abs=0.1)


def test_retries_without_end_never_come_to_the_next_mode():
    world = boot(NetServer({}), keys={"NET_BOOT_MAX_RETRIES": -1, "BOOT_ORDER": "0xe2"}, seconds=100)
    assert world.ended == "time"
    assert world.text.count("Retry NETWORK") > 8
    assert "Boot mode: STOP" not in world.text


def test_max_restarts_ends_in_a_watchdog_reset():
    world = boot(NetServer({}), keys={"MAX_RESTARTS": 1}, seconds=30)
    assert "Restart limit (1)exceeded. Watchdog reset" in world.text
    assert world.text.count("RPi: BOOTSYS release") >= 2


def test_speed_scales_the_hardware_but_not_the_protocol():
    def times(speed: float) -> list[float]:
        world = boot(silence, speed=speed, seconds=20)
        return [when - 1000 for when, frame in world.sent]

    slow, fast = times(1.0), times(10.0)
    assert slow[0] == pytest.approx(2.5 + 2.8 + 0.12, abs=0.05)
    assert fast[0] == pytest.approx((2.5 + 2.8 + 0.12) / 10, abs=0.05)
    assert slow[1] - slow[0] == fast[1] - fast[0] == pytest.approx(4.0)
    # The board's own clock, which its UART lines show, does not notice.
    assert "  5.30 Link ready" in boot(silence, speed=10.0, seconds=10).text


def test_bootloader_is_silent_without_boot_uart_and_firmware_without_uart_2ndstage():
    quiet = boot(NetServer(samples.tree()), keys={"BOOT_UART": 0})
    assert quiet.ended == "handover"
    assert b"RPi:" not in quiet.uart
    assert b"MESS:" in quiet.uart
    files = samples.tree(config_txt=samples.CONFIG.replace(b"uart_2ndstage=1\n", b""))
    loud = boot(NetServer(files))
    assert b"MESS:" not in loud.uart
    assert b"Starting start4.elf @ 0xfec00200 partition 0" in loud.uart


def test_board_answers_arp_for_its_address_only():
    def asking(target: bytes) -> World:
        request = (
            b"\xff" * 6
            + SERVER_MAC
            + bytes.fromhex("0806000108000604 0001")
            + SERVER_MAC
            + SERVER_IP
            + b"\0" * 6
            + target
        )
        server = NetServer(samples.tree())
        done = []

        def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
            more = []
            if (p := udp(frame)) and p.dport == 69 and not done:
                done.append(1)
                more = [(0.0005, request.ljust(60, b"\0"))]
            return [*more, *server(now, frame)]

        return boot(wire)

    def replies(world: World) -> list[bytes]:
        return [frame for frame in world.frames if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\x02"]

    mine = replies(asking(BOARD_IP))
    assert [frame[:6] for frame in mine] == [SERVER_MAC]
    assert mine[0][22:32] == MAC + BOARD_IP
    assert not replies(asking(bytes((10, 77, 0, 51))))


def test_unrelated_traffic_does_not_disturb():
    server = NetServer(samples.tree())
    noise = udp_frame(
        (SERVER_MAC, b"\xff" * 6), (SERVER_IP, b"\xff" * 4), (137, 137), b"noise", ttl=1, ident=1, checksum=True
    )

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        return [(0.0001, noise), (0.0002, b""), (0.0002, noise[:20]), *server(now, frame)]

    assert boot(wire).ended == "handover"
