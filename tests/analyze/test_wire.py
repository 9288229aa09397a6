# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures of every model and of other netboot clients: each board is called what it is."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analyze import OUTCOMES, BoardSeen, analyze, wires
from harness.analyze.text import blocks
from harness.errors import ConfigError
from tests.analyze import packets
from tests.analyze.packets import BIG, CLASS, MENU, SIZE, Client, Wire, names
from tests.wire import frames


@pytest.fixture
def wire() -> Wire:
    return Wire()


def read(wire: Wire, folder: Path) -> list[BoardSeen]:
    boards = analyze([wire.save(folder / "any.name")])
    assert all(board.outcome in OUTCOMES for board in boards)
    return boards


def one(wire: Wire, folder: Path) -> BoardSeen:
    (board,) = read(wire, folder)
    return board


def programs(board: BoardSeen) -> list[tuple[str, str, str]]:
    return [(exchange.client, exchange.asked_by, exchange.result) for exchange in board.dhcp]


def test_pi_3b_plus(wire: Wire, tmp_path: Path) -> None:
    packets.pi3(wire)
    board = one(wire, tmp_path)
    assert (board.kind, board.model, board.model_certain, board.family) == ("raspberry-pi", "pi3bplus", True, "rom")
    assert (board.serial_number, board.mac, board.outcome) == ("8b07bcc6", packets.PI3_MAC, "firmware")
    assert programs(board) == [("firmware", "rom", "offer only"), ("firmware", "bootcode.bin", "offer only")]
    assert names(board.stages) == ["link", "dhcp", "firmware"]
    assert board.programs == ("rom", "bootcode.bin", "start.elf")
    assert any("bcm2710-rpi-3-b-plus.dtb" in sign for sign in board.model_evidence)
    missing = {file.path: file.normal for file in board.tftp if file.result == "not found"}
    assert missing == {"bootsig.bin": True, "8b07bcc6/dt-blob.bin": True}
    assert board.findings == ()


def test_pi_3b_by_its_dtb_and_likely_before(wire: Wire, tmp_path: Path) -> None:
    packets.pi3(wire, old=True)
    assert (one(wire, tmp_path).model, one(wire, tmp_path).model_certain) == ("pi3b", True)
    short = Wire()
    client = Client(short, packets.PI3_MAC, ttl=128, ip_id=0)
    client.ask(
        0x26F30339, 1, (55, packets.WANTS_ROM), (93, b"\0\0"), (94, b"\1\2\1"), (97, b"\0" + b"D" * 16), (60, CLASS)
    )
    board = one(short, tmp_path)
    assert (board.model, board.model_certain, board.outcome) == ("pi3b", False, "waiting(dhcp)")
    assert "320 octets" in board.model_evidence[0]
    assert board.serial_number is None


def test_pi_4_and_what_the_wire_tells_of_its_bootloader(wire: Wire, tmp_path: Path) -> None:
    client = packets.pi4(wire)
    packets.klibc(client)
    board = one(wire, tmp_path)
    assert (board.model, board.model_certain, board.serial_number) == ("pi4", True, "91cdf03d")
    assert (board.bootloader_since, board.bootloader_before) == ("2020-03-04", "2022-03-10")
    assert board.programs == ("eeprom", "start4.elf", "klibc")
    assert programs(board) == [("firmware", "eeprom", "ack"), ("os", "klibc", "ack")]
    assert board.outcome == "kernel"


def test_pi_5(wire: Wire, tmp_path: Path) -> None:
    packets.pi5(wire)
    board = one(wire, tmp_path)
    assert (board.model, board.family, board.bootloader_since) == ("pi5", "bcm2712", "2023-10-30")
    assert board.programs == ("eeprom",)


def test_many_boards_in_one_capture_are_told_apart(wire: Wire, tmp_path: Path) -> None:
    for number in range(30):
        packets.pi3(wire, f"b8:27:eb:00:00:{number:02x}", f"000000{number:02x}", address=f"10.77.1.{number + 1}")
    packets.pi4(wire)
    packets.pi5(wire)
    boards = read(wire, tmp_path)
    assert [board.model for board in boards] == ["pi3bplus"] * 30 + ["pi4", "pi5"]
    assert len({board.serial_number for board in boards}) == 32
    assert {len(board.tftp) for board in boards[:30]} == {9}


def test_interleaved_boards_do_not_mix(tmp_path: Path) -> None:
    first, second = Wire(), Wire(at=packets.T0 + 0.0005)
    packets.pi3(first)
    packets.pi4(second)
    both = Wire(first.packets + second.packets)
    alone = [one(first, tmp_path), one(second, tmp_path)]
    mixed = read(both, tmp_path)
    for apart, together in zip(alone, mixed, strict=True):
        assert [file.path for file in apart.tftp] == [file.path for file in together.tftp]
        assert apart.outcome == together.outcome


def test_the_newest_of_several_boots_is_told_and_the_others_counted(wire: Wire, tmp_path: Path) -> None:
    for _ in range(2):
        packets.klibc(packets.pi3(wire))
        wire.pause(60)
    packets.pi3(wire)
    board = one(wire, tmp_path)
    assert (board.boots, board.earlier, board.outcome) == (3, ("kernel", "kernel"), "firmware")
    assert len(board.tftp) == 9


def test_a_rom_that_nobody_answers_gives_up(wire: Wire, tmp_path: Path) -> None:
    client = Client(wire, packets.PI3_MAC, ttl=128, ip_id=0)
    for _ in range(5):
        client.ask(0x26F30339, 1, (55, packets.WANTS_ROM), (97, b"\0" + b"D" * 16), (60, CLASS))
        wire.pause(5)
    wire.pause(10)
    wire.put(frames.arp(1, frames.SERVER, frames.SERVER_IP, "00:00:00:00:00:00", "10.77.0.7"))
    board = one(wire, tmp_path)
    assert (board.outcome, board.failed_stage) == ("failed(dhcp)", "dhcp")
    assert {"rom-gave-up", "dhcp-no-answer"} <= {finding.id for finding in board.findings}


def test_an_offer_without_the_three_spaces_fails_the_old_rom_only(tmp_path: Path) -> None:
    for wants, own, outcome in (
        (packets.WANTS_ROM, b"\0" + b"D" * 16, "failed(dhcp)"),
        (packets.WANTS_ROM + b"\1\3", b"\0" + b"\1\2\3\4" * 4, "waiting(dhcp)"),
    ):
        wire = Wire()
        client = Client(wire, packets.PI3_MAC, ttl=128, ip_id=0)
        client.ask(0x26F30339, 1, (55, wants), (93, b"\0\0"), (94, b"\1\2\1"), (97, own), (60, CLASS))
        client.answer(0x26F30339, 2, (54, b"\x0a\x4d\0\1"), (43, MENU))
        board = one(wire, tmp_path)
        assert board.outcome == outcome
        assert ("rom-menu-spaces" in {finding.id for finding in board.findings}) == outcome.startswith("failed")


def test_missing_firmware_and_a_silent_server(tmp_path: Path) -> None:
    wire = Wire()
    client = Client(wire, "e4:5f:01:09:02:f7")
    client.lease(1, *packets.eeprom(b"4iPR", "d03114", client.mac, "91cdf03d"))
    for path in ("91cdf03d/start4.elf", "91cdf03d/start.elf", "config.txt", "start4.elf", "start.elf"):
        client.miss(path, SIZE, BIG)
    board = one(wire, tmp_path)
    assert (board.outcome, board.findings[0].id) == ("failed(firmware)", "firmware-missing")
    assert all("\x1b" not in file.error_text and "\u202e" not in file.error_text for file in board.tftp)
    silent = Wire()
    client = Client(silent, "e4:5f:01:09:02:f7")
    client.lease(1, *packets.eeprom(b"4iPR", "d03114", client.mac, "91cdf03d"))
    client.call("91cdf03d/start4.elf", SIZE, BIG)
    silent.pause(40)
    silent.put(frames.arp(1, frames.SERVER, frames.SERVER_IP, "00:00:00:00:00:00", "10.77.0.7"))
    board = one(silent, tmp_path)
    assert (board.outcome, board.findings[0].id) == ("failed(firmware)", "tftp-no-answer")


def test_the_systems_own_request_that_nobody_answers(wire: Wire, tmp_path: Path) -> None:
    client = packets.pi4(wire)
    for _ in range(3):
        client.ask(0x77, 1, (60, b"Linux ipconfig"))
        wire.pause(4)
    board = one(wire, tmp_path)
    assert board.outcome == "waiting(root)"
    assert "os-dhcp-no-answer" in {finding.id for finding in board.findings}


def test_nfs_root(wire: Wire, tmp_path: Path) -> None:
    client = packets.pi4(wire)
    packets.klibc(client)
    client.connect(2049)
    assert one(wire, tmp_path).outcome == "root"


@pytest.mark.parametrize(("status", "outcome"), [(0, "root"), (0x0201, "failed(root)")])
def test_iscsi_root(wire: Wire, tmp_path: Path, status: int, outcome: str) -> None:
    client = packets.pi4(wire)
    packets.klibc(client)
    client.connect(3260)
    assert one(wire, tmp_path).outcome == "waiting(root)"
    client.log_in("iqn.2026-01.lab.piboot:91cdf03d", status)
    board = one(wire, tmp_path)
    assert board.outcome == outcome
    if status:
        assert board.findings[0].id == "iscsi-chap-refused"
        assert "iqn.2026-01.lab.piboot:91cdf03d" in board.findings[0].title


# Other clients: never a Pi


def test_u_boot(wire: Wire, tmp_path: Path) -> None:
    client = Client(wire, "52:54:00:12:34:56", ttl=255, ip_id=7, dont_fragment=True, port=2313)
    client.lease(5, (60, b"U-Boot.armv8"), (93, b"\0\x16"), (55, bytes((1, 3, 6, 12, 15, 17))))
    client.get("boot.scr", ("timeout", "5"), SIZE, BIG, blksize=1468)
    board = one(wire, tmp_path)
    assert (board.kind, board.model, board.outcome, board.programs) == ("u-boot", "unknown", "u-boot", ("u-boot",))
    assert programs(board) == [("u-boot", "u-boot", "ack")]
    assert {file.asked_by for file in board.tftp} == {"u-boot"}


def test_uefi_whose_requests_look_like_an_eeproms(wire: Wire, tmp_path: Path) -> None:
    client = Client(wire, "52:54:00:12:34:57", port=1733)
    client.lease(6, (60, b"PXEClient:Arch:00011:UNDI:003000"), (97, b"\0" + bytes(range(16))), (93, b"\0\x0b"))
    client.get("grubaa64.efi", SIZE, BIG, blksize=1468)
    board = one(wire, tmp_path)
    assert (board.kind, board.model, board.outcome) == ("uefi", "unknown", "uefi")
    assert {file.asked_by for file in board.tftp} == {"uefi"}
    assert (board.bootloader_since, board.serial_number) == (None, None)


def test_ipxe_even_with_the_class_of_a_bios(wire: Wire, tmp_path: Path) -> None:
    client = Client(wire, "52:54:00:12:34:58", port=1025)
    client.lease(7, (60, CLASS), (77, b"iPXE"), (175, b"\xb1\x05\x01\x80\x86\x10\x0e"))
    client.get("boot.ipxe", ("blksize", "1432"), SIZE, blksize=1432)
    board = one(wire, tmp_path)
    assert (board.kind, board.model, board.outcome) == ("ipxe", "unknown", "ipxe")


def test_a_pc_with_a_pxe_network_card(wire: Wire, tmp_path: Path) -> None:
    client = Client(wire, "3c:ec:ef:00:00:01")
    client.lease(8, (60, CLASS), (55, bytes(range(1, 30))), (97, b"\0" + bytes(range(16))))
    assert (one(wire, tmp_path).kind, one(wire, tmp_path).model) == ("pxe", "unknown")


def test_klibc_alone(wire: Wire, tmp_path: Path) -> None:
    packets.klibc(Client(wire, "52:54:00:12:34:59"))
    board = one(wire, tmp_path)
    assert (board.kind, board.model, board.programs, board.outcome) == ("os", "unknown", ("klibc",), "kernel")


def test_a_pi_whose_payload_is_uefi_stays_a_pi(wire: Wire, tmp_path: Path) -> None:
    client = packets.pi4(wire)
    client.ttl, client.ip_id = 64, 1
    client.lease(9, (60, b"PXEClient:Arch:00011:UNDI:003000"))
    client.get("fcos.pxe", SIZE, BIG, blksize=1468)
    board = one(wire, tmp_path)
    assert (board.kind, board.model, board.outcome) == ("raspberry-pi", "pi4", "uefi")
    assert board.programs == ("eeprom", "start4.elf", "uefi")
    assert board.tftp[-1].asked_by == "uefi"


# Odd captures


def test_cooked_and_raw_captures(tmp_path: Path) -> None:
    wire = Wire()
    packets.pi4(wire)
    cooked = Wire([(t, b"\0\0\0\1\0\6" + one[6:12] + b"\0\0" + one[12:]) for t, one in wire.packets])
    (board,) = analyze([cooked.save(tmp_path / "cooked", link=113)])
    assert (board.model, len(board.tftp)) == ("pi4", 7)
    raw = Wire([(t, one[14:]) for t, one in wire.packets])
    (board,) = analyze([raw.save(tmp_path / "raw", link=101)])
    assert (board.model, len(board.tftp), board.mac) == ("pi4", 7, "e4:5f:01:09:02:f7")


def test_a_capture_that_begins_in_the_middle(wire: Wire, tmp_path: Path) -> None:
    packets.pi4(wire)
    wire.packets = wire.packets[6:]
    board = one(wire, tmp_path)
    assert (board.kind, board.model, board.outcome) == ("raspberry-pi", "pi4", "firmware")


def test_a_flood_of_clients_is_bounded(wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "MAX_BOARDS", 20)
    for number in range(30):
        Client(wire, f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}").ask(number, 1)
    boards = read(wire, tmp_path)
    assert len(boards) == 20
    assert "left out" in boards[0].notes[0]


def test_a_capture_that_was_cut_says_so(wire: Wire, tmp_path: Path) -> None:
    packets.pi4(wire)
    path = wire.save(tmp_path / "cut")
    path.write_bytes(path.read_bytes()[:-30])
    (board,) = analyze([path])
    assert "cut" in board.notes[0]
    assert "cut" in blocks([board])


def test_packets_that_nobody_asked_for_are_no_board(wire: Wire, tmp_path: Path) -> None:
    wire.put(frames.arp(1, frames.SERVER, frames.SERVER_IP, "00:00:00:00:00:00", "10.77.0.7"))
    with pytest.raises(ConfigError, match="no board in this capture of 1 packets"):
        read(wire, tmp_path)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_damaged_packets_never_raise(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    wire = Wire()
    packets.pi3(wire)
    packets.klibc(packets.pi4(wire))
    damaged = []
    for t, octets in wire.packets:
        changed = bytearray(octets)
        if data.draw(st.integers(0, 9)) == 0:
            at = data.draw(st.integers(0, len(changed) - 1))
            changed[at] = data.draw(st.integers(0, 255))
            changed = changed[: data.draw(st.integers(1, len(changed)))]
        damaged.append((t, bytes(changed)))
    try:
        boards = analyze([Wire(damaged).save(tmp_path_factory.getbasetemp() / "damaged")])
    except ConfigError:
        return
    assert all(board.outcome in OUTCOMES for board in boards)
    assert all(line.isprintable() for line in blocks(boards).splitlines())
