# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole boots of the Pi 5 and CM5 against a scripted server.

Request lists. D: a Pi 5 with a bare-metal payload below its serial number, bootloader of 2026-05-26 (public log of
TinyOS). E1: Raspberry Pi OS in the TFTP root, 2025-12-08, os_check at its default; E2: the same below the prefix with
os_check=0 (public logs of a Talos lab).
"""

from typing import Any

import pytest

from harness.emulator.packets import BROADCAST_MAC, Arp
from harness.models import CM5, PI5, Model
from tests.emulator import samples
from tests.emulator.netserver import OPTION_43, SERVER_IP, NetServer, together, udp
from tests.emulator.simulator import MAC, SERIAL, Wire, World, boot

P = "91cdf03d/"
CONFIG = b"auto_initramfs=1\ndtoverlay=vc4-kms-v3d-pi5\n"
DTB = samples.dtb("raspberrypi,5-model-b", "brcm,bcm2712")
D0 = 0xD04171


class Files(dict[str, bytes]):
    """Files of a server that takes two slashes for one, as real ones do."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).replace("//", "/"))

    def __getitem__(self, name: str) -> bytes:
        return super().__getitem__(name.replace("//", "/"))


def tree(prefix: str = P, **changes: bytes | None) -> dict[str, bytes]:
    """A Raspberry Pi OS tree for a Pi 5; None takes a file away."""
    files: dict[str, bytes | None] = {
        "config.txt": CONFIG,
        "cmdline.txt": samples.CMDLINE,
        "bcm2712-rpi-5-b.dtb": DTB,
        "kernel_2712.img": samples.kernel(),
        "initramfs_2712": b"070701" * 700,
        "overlays/overlay_map.dtb": samples.dtb("map"),
        "overlays/bcm2712d0.dtbo": samples.dtb("overlay"),
        "overlays/vc4-kms-v3d-pi5.dtbo": samples.dtb("overlay"),
    }
    files |= changes
    return Files({prefix + name: data for name, data in files.items() if data is not None})


def run(wire: Wire, *, model: Model = PI5, revision: int = 0xD04170, **options: Any) -> World:
    return boot(wire, model=model, revision=revision, **options)


def test_order_below_the_prefix():
    server = NetServer(tree())
    world = run(server, revision=D0)
    assert world.ended == "handover", world.text
    assert server.log == [
        f"G {P}config.txt",
        f"N {P}pieeprom.sig",
        f"G {P}/config.txt",
        f"G {P}bcm2712-rpi-5-b.dtb",  # os_check
        f"G {P}/config.txt",
        f"P {P}kernel_2712.img",
        f"G {P}initramfs_2712",
        f"G {P}bcm2712-rpi-5-b.dtb",
        f"G {P}/overlays/overlay_map.dtb",
        f"G {P}/overlays/bcm2712d0.dtbo",
        f"G {P}/overlays/vc4-kms-v3d-pi5.dtbo",
        f"G {P}/cmdline.txt",
        f"N {P}armstub8-2712.bin",
        f"G {P}kernel_2712.img",
    ]
    assert not any("start" in line or "fixup" in line or "recover" in line for line in server.log)


def test_list_d_of_a_bare_metal_payload():
    config = b"os_check=0\nkernel=kernel8.img\n"
    server = NetServer(Files({f"{P}config.txt": config, f"{P}kernel8.img": samples.kernel()}))
    world = run(server, date="2026-05-26")
    wanted = [
        f"G {P}config.txt",
        f"N {P}pieeprom.sig",
        f"G {P}/config.txt",
        f"G {P}/config.txt",
        f"P {P}kernel8.img",
        f"N {P}bcm2712-rpi-5-b.dtb",
        f"N {P}/cmdline.txt",
        f"N {P}armstub8-2712.bin",
        f"G {P}kernel8.img",
    ]
    # The log does not show overlay_map.dtb; without a device tree nothing can be laid over it.
    assert server.log == wanted
    assert "Starting OS" in world.text
    assert "without a device tree" in world.halted


def test_list_e1_in_the_tftp_root():
    server = NetServer(tree(""))
    world = run(server, date="2025-12-08", revision=D0)
    assert world.ended == "handover", world.text
    first = list(dict.fromkeys(line[2:] for line in server.log))
    assert first == [
        *(f"{P}config.txt", "config.txt", "pieeprom.sig", "bcm2712-rpi-5-b.dtb", "kernel_2712.img", "initramfs_2712"),
        *("overlays/overlay_map.dtb", "overlays/bcm2712d0.dtbo", "overlays/vc4-kms-v3d-pi5.dtbo", "cmdline.txt"),
        "armstub8-2712.bin",
    ]


def test_list_e2_with_os_check_off():
    files = tree(**{"config.txt": b"os_check=0\n", "initramfs_2712": None})
    server = NetServer(files)
    run(server, date="2025-12-08", revision=D0)
    first = list(dict.fromkeys(line[2:] for line in server.log if not line.startswith("N")))
    assert first == [
        *(f"{P}config.txt", f"{P}/config.txt", f"{P}kernel_2712.img", f"{P}bcm2712-rpi-5-b.dtb"),
        *(f"{P}/overlays/overlay_map.dtb", f"{P}/overlays/bcm2712d0.dtbo", f"{P}/cmdline.txt"),
    ]


def test_kernels_are_tried_in_the_order_of_the_released_images():
    server = NetServer(tree(**{"kernel_2712.img": None}))
    world = run(server, seconds=20)
    tried = [line.removeprefix(f"N {P}") for line in server.log if "kernel" in line]
    assert tried[:7] == list(PI5.kernels)
    assert "No compatible kernel found" in world.text
    assert "BOOT ERROR: code 7" in world.text
    assert "Boot mode: RESTART (0f) order 0" in world.text
    old = NetServer(tree(**{"kernel_2712.img": None}))
    run(old, date="2025-05-08", seconds=20)
    assert not any("kernel8_rt" in line for line in old.log)


def test_initramfs_has_the_name_of_the_kernel_that_was_found():
    server = NetServer(tree(**{"kernel_2712.img": None, "kernel8.img": samples.kernel(), "initramfs8": b"cpio"}))
    payload = run(server).payload
    assert payload is not None
    assert payload.kernel.path == f"{P}kernel8.img"
    assert payload.initramfs is not None
    assert payload.initramfs.path == f"{P}initramfs8"


def test_what_was_received_is_handed_over_with_the_debug_uart_as_console():
    files = tree()
    payload = run(NetServer(files)).payload
    assert payload is not None
    assert payload.kernel.data == files[f"{P}kernel_2712.img"]
    assert payload.dtb_ok
    assert payload.console == "ttyAMA10"
    assert payload.cmdline.startswith("console=ttyAMA10,115200 ")


@pytest.mark.parametrize("dtb", [None, samples.dtb(), b"no device tree"])
def test_os_check_refuses_a_system_for_another_board(dtb: bytes | None):
    world = run(NetServer(tree(**{"bcm2712-rpi-5-b.dtb": dtb})), seconds=20)
    assert "does not indicate support for Raspberry Pi 5" in world.text
    assert "Starting OS" not in world.text
    assert world.payload is None
    assert ("not found." in world.text) == (dtb is None)


def test_broken_device_tree_is_told_when_nobody_checks_it():
    world = run(NetServer(tree(**{"bcm2712-rpi-5-b.dtb": b"?", "config.txt": b"os_check=0\n"})))
    assert "dterror: not a valid FDT" in world.text
    assert world.ended == "halt"


@pytest.mark.parametrize("kernel", [b"\x1f\x8b\x08\0" + b"x" * 500, b""])
def test_kernel_that_cannot_be_used_ends_the_boot_mode(kernel: bytes):
    world = run(NetServer(tree(**{"kernel_2712.img": kernel})), seconds=20)
    assert "BOOT ERROR: code 7" in world.text
    assert "NETBOOT init failed" in world.text


def test_missing_overlay_initramfs_and_command_line_are_told_and_survived():
    files = tree(**{"initramfs_2712": None, "cmdline.txt": None, "overlays/vc4-kms-v3d-pi5.dtbo": None})
    world = run(NetServer(files))
    assert world.ended == "handover"
    for line in (
        "No matching initramfs found (expected initramfs_2712) - auto_initramfs disabled",
        "Failed to load overlay 'vc4-kms-v3d-pi5'",
        "Failed to open command line file 'cmdline.txt'",
    ):
        assert line in world.text


def test_named_initramfs_files_are_joined():
    config = b"initramfs one.img,two.img followkernel\n"
    payload = run(NetServer(tree(**{"config.txt": config, "one.img": b"1" * 9, "two.img": b"2" * 9}))).payload
    assert payload is not None
    assert payload.initramfs is not None
    assert payload.initramfs.data == b"1" * 9 + b"2" * 9


def test_os_prefix_and_includes_go_through_their_own_layers():
    files = tree(**{"config.txt": CONFIG + b"os_prefix=next/\ninclude more.txt\n", "more.txt": b"enable_uart=1\n"})
    files |= {f"{P}next/{name}": files[f"{P}{name}"] for name in ("kernel_2712.img", "bcm2712-rpi-5-b.dtb")}
    server = NetServer(files)
    world = run(server)
    assert world.payload is not None
    assert world.payload.kernel.path == f"{P}next/kernel_2712.img"
    assert f"G {P}/more.txt" in server.log
    assert f"N {P}/next/cmdline.txt" in server.log
    del files[f"{P}next/kernel_2712.img"]
    world = run(NetServer(files))
    assert "os_prefix 'next/' ignored" in world.text
    assert world.payload is not None
    assert world.payload.kernel.path == f"{P}kernel_2712.img"


def test_server_without_options_is_served_in_blocks_of_512():
    files = tree(**{"kernel_2712.img": samples.kernel(50_000)})
    server = NetServer(files, oack=False)
    payload = run(server).payload
    assert payload is not None
    assert len(payload.kernel.data) == 50_000


def test_overlay_map_is_left_out_when_nothing_needs_it():
    def asked(date: str) -> bool:
        server = NetServer(tree(**{"config.txt": b"auto_initramfs=1\n"}))
        run(server, date=date)
        return any("overlay_map" in line for line in server.log)

    assert asked("2026-06-16")
    assert not asked("2026-06-17")


def test_uart_from_the_banners_to_the_hand_over():
    text = run(NetServer(tree())).text
    wanted = [
        "  1.43 RPi: BOOTSYS release VERSION:",
        "AON_RESET: 00000003 PM_RSTS 00001000",
        "RP1_BOOT chip ID: 0x20001927",
        "  4.15 RPi: BOOTLOADER release VERSION:",
        "  7.50 Boot mode: NETWORK (02) order f\r\n",
        "  7.50 NETWORK: e4:5f:01:09:02:f7 wait for link TFTP: 0.0.0.0\r\n",
        " 10.40 LINK STATUS: speed: 1000 full duplex\r\n",
        " 10.40 Link ready\r\n",
        "\top: 53 len:   1 DHCP recv OFFER (2) expect OFFER 10.5",
        "\top: 53 len:   1 DHCP recv ACK (5) expect ACK 10.5",
        f"TFTP_GET: 02:00:00:00:00:01 10.77.0.1 {P}config.txt\r\n",
        f"TFTP_GET: 02:00:00:00:00:01 10.77.0.1 {P}/config.txt\r\n",
        "dt-match: compatible: brcm,bcm2712 match: brcm,bcm2712",
        "MESS:00:00:10.",
        ": *** Restart logging\r\n",
        "fs_open: 'kernel_2712.img'",
        "Loading 'kernel_2712.img' to 0x00000000 offset 0x200000",
        "Starting OS 10",
        " ms\r\nNOTICE:  BL31: v2.6(release):v2.6-240-gfc45bc492\r\n",
    ]
    at = 0
    for part in wanted:
        assert part in text[at:], part
        at = text.index(part, at) + len(part)
    assert "GENET" not in text
    assert "PHY ID" not in text


def test_later_log_depends_on_uart_2ndstage_and_date():
    assert "Starting OS" in run(NetServer(tree()), date="2025-01-06").text
    assert "Starting OS" not in run(NetServer(tree()), date="2024-12-15").text
    config = CONFIG + b"uart_2ndstage=%d\n"
    assert "Starting OS" in run(NetServer(tree(**{"config.txt": config % 1})), date="2024-12-15").text
    assert "Starting OS" not in run(NetServer(tree(**{"config.txt": config % 0}))).text


def test_stub_of_the_server_replaces_the_built_in_one():
    world = run(NetServer(tree(**{"armstub8-2712.bin": b"stub"})))
    assert "BL31" not in world.text
    assert world.payload is not None
    assert any("armstub8-2712.bin" in note for note in world.payload.notes)


def test_stamps_before_may_2025_jump_back():
    def stamps(date: str) -> list[float]:
        lines = run(NetServer(), date=date, seconds=70).text.splitlines()
        return [float(line[:6]) for line in lines if line[3:4] == "." and line[:3].strip().isdigit()]

    late, early = stamps("2025-05-08"), stamps("2025-03-27")
    assert late == sorted(late)
    assert early != sorted(early)


def test_cm5_asks_for_its_own_device_tree():
    name = "bcm2712-rpi-cm5-cm5io.dtb"
    server = NetServer(tree(**{name: samples.dtb("raspberrypi,5-compute-module", "brcm,bcm2712")}))
    payload = run(server, model=CM5, revision=0xD04180).payload
    assert payload is not None
    assert payload.dtb.path == f"{P}{name}"
    assert payload.dtb_ok


@pytest.mark.parametrize("first", ["lease", "proxy"])
def test_proxy_dhcp_in_both_orders(first: str):
    """Address from the lease server, files from the proxy (EE#376, EE#687); the REQUEST goes to the lease server."""
    router_ip, router_mac = bytes((10, 77, 0, 254)), bytes.fromhex("0200000000fe")
    router = NetServer(ip=router_ip, mac=router_mac, siaddr=b"\0" * 4, offer=(), tftp=False)
    proxy = NetServer(tree(), yiaddr=b"\0" * 4, acks=False)
    router.delay, proxy.delay = (0.001, 0.2) if first == "lease" else (0.2, 0.001)
    world = run(together(router, proxy))
    assert world.ended == "handover", world.text
    assert "tftp 10.77.0.1\r\n" in world.text
    assert len(router.requests) == 1
    assert dict(router.requests[0].dhcp_options)[54] == router_ip


def test_tftp_server_beyond_the_gateway():
    """Frames go to the gateway's MAC, packets to the server's address."""
    gateway, far = bytes((10, 77, 0, 254)), bytes((192, 168, 20, 105))
    server = NetServer(tree(), offer=((66, b"192.168.20.105"),), siaddr=b"\0" * 4)
    server.lease = ((1, b"\xff\xff\xff\0"), (3, gateway))
    files = NetServer(tree(), ip=far, offers=False)
    gateway_mac = files.mac

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        if frame[12:14] == b"\x08\x06":
            asked = frame[38:42]
            answer = Arp(2, gateway_mac, gateway, frame[22:28], frame[28:32]).frame(frame[6:12])
            return [(0.001, answer)] if asked == gateway else []
        packet = udp(frame)
        return server(now, frame) if packet and packet.dport == 67 else files(now, frame)

    world = run(wire)
    assert world.ended == "handover", world.text
    assert "gw 10.77.0.254 tftp 192.168.20.105" in world.text
    asked = [frame[38:42] for frame in world.frames if frame[12:14] == b"\x08\x06"]
    assert asked == [gateway]
    assert {frame[:6] for frame in world.frames if (p := udp(frame)) and p.dst == far} == {gateway_mac}
    assert gateway_mac != BROADCAST_MAC


def test_nak_starts_over_with_another_transaction():
    server = NetServer(tree(), naks=1)
    world = run(server)
    assert world.ended == "handover"
    assert "DHCP recv NACK (6) expect ACK" in world.text
    assert len({packet.xid for packet in server.discovers}) == 2


@pytest.mark.parametrize(
    ("date", "fourcc"), [("2023-09-13", b"4iPR"), ("2023-10-18", b"4iPR"), ("2023-10-30", b"5iPR"), ("", b"5iPR")]
)
def test_option_97_by_date(date: str, fourcc: bytes):
    server = NetServer(tree())
    run(server, date=date)
    guid = dict(server.discovers[0].dhcp_options)[97]
    assert guid == b"\0" + fourcc + (0xD04170).to_bytes(4, "little") + MAC[2:] + SERIAL.to_bytes(4, "little")


def test_offer_without_a_menu_is_not_taken():
    world = run(NetServer(tree(), offer=()), seconds=70)
    assert world.payload is None
    assert "NET 10" not in world.text
    assert run(NetServer(tree(), offer=((43, OPTION_43),), siaddr=b"\0" * 4)).payload is not None
    assert SERVER_IP in run(NetServer(tree())).frames[2]


@pytest.mark.parametrize(("date", "hangs"), [("2025-03-27", True), ("2025-05-08", False)])
def test_file_that_times_out_after_config_txt_hung_the_board_in_2025(date: str, hangs: bool):
    """EE#687: no restart; a later release takes the file for missing, and goes on to the next boot mode."""
    server = NetServer(tree(), silent_after={f"{P}kernel_2712.img": 1})
    world = run(server, date=date, seconds=120)
    assert "transfer timed out" in world.text
    assert ("EE#687" in world.halted) == hangs
    assert ("Boot mode: RESTART" in world.text) != hangs
