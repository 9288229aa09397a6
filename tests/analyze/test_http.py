# SPDX-License-Identifier: GPL-2.0-or-later
"""Somebody's capture of a board that boots over HTTP."""

from pathlib import Path

from harness.analyze import BoardSeen, analyze
from harness.analyze.text import block
from tests.wire.frames import PI_IP, bootp, from_client, ip4, to_client, write_pcapng
from tests.wire.test_http import AGENT, Talk, get, ok

WANTS = bytes.fromhex("01032b3c42438081828384858687")
CLASS = b"PXEClient:Arch:00000:UNDI:002001"
LEASE = (54, ip4("10.77.0.1"))


def lease() -> list[bytes]:
    return [
        from_client(bootp((53, b"\1"), (55, WANTS), (60, CLASS))),
        to_client(bootp((53, b"\2"), LEASE, op=2, yiaddr=PI_IP)),
        from_client(bootp((53, b"\3"), (60, CLASS))),
        to_client(bootp((53, b"\5"), LEASE, op=2, yiaddr=PI_IP)),
    ]


def seen(tmp_path: Path, *frames: bytes) -> BoardSeen:
    write_pcapng(tmp_path / "a.pcapng", frames)
    (board,) = analyze([tmp_path / "a.pcapng"])
    return board


def test_boot_over_http(tmp_path: Path) -> None:
    files = [*Talk(40000).answered(get("/x/boot.sig"), ok(b"sig")), *Talk(40001).answered(get("/x/boot.img"), ok())]
    board = seen(tmp_path, *lease(), *files)
    assert (board.kind, board.outcome) == ("raspberry-pi", "firmware")
    assert [(one.path, one.result, one.asked_by) for one in board.http] == [
        ("/x/boot.sig", "complete", "eeprom"),
        ("/x/boot.img", "complete", "eeprom"),
    ]
    assert [stage.name for stage in board.stages] == ["link", "dhcp", "firmware"]
    text = block(board)
    assert "http://10.77.0.1:80/x/boot.img  5120 octets" in text


def test_refused_image_fails_the_firmware_with_its_cause(tmp_path: Path) -> None:
    board = seen(tmp_path, *lease(), *Talk().answered(get("/x/boot.sig"), ok(b"", "404 None")))
    assert board.outcome == "failed(firmware)"
    assert board.findings[0].id == "http-failed"
    assert "has no http://10.77.0.1:80/x/boot.sig" in board.reason


def test_board_with_a_fixed_address_is_known_by_what_it_calls_itself(tmp_path: Path) -> None:
    assert "rpiboot" in AGENT
    board = seen(tmp_path, *Talk().answered(get("/x/boot.sig"), ok(b"sig")))
    assert (board.kind, board.outcome) == ("raspberry-pi", "firmware")


def test_requests_of_the_running_system_are_no_firmware(tmp_path: Path) -> None:
    board = seen(tmp_path, *lease(), *Talk().answered(get("/debian", "Debian APT-HTTP/1.3"), ok(b"", "404 None")))
    assert board.outcome == "dhcp"
    assert [one.asked_by for one in board.http] == ["os"]
