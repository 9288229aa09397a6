# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot emulate` without a wire: what its options mean, and whom their mistakes are told to."""

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.commands.emulate import pairs
from harness.emulate import Pi
from harness.emulator.http_message import Response
from harness.emulator.interface import Interface, _with_checksum
from harness.emulator.packets import read_udp, udp_frame
from harness.emulator.stack import Stack
from harness.emulator.tcp import Exchange, read_segment
from harness.emulator.tftp_message import Server
from harness.errors import ConfigError, InfraError


def run(folder: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["emulate", "--reports", str(folder), *words])
    return done.exit_code, done.output


def test_a_board_has_an_identity_that_real_ones_have():
    assert Pi("pi5", "eth1").entry()["mac"] == "88:a2:9e:00:be:ef"
    rom = Pi("pi3bplus", "eth1", serial_number="8B07BCC6").entry()
    assert (rom["serial_number"], rom["mac"]) == ("8b07bcc6", "b8:27:eb:07:bc:c6")
    assert Pi("pi4", "eth1", eeprom={"MAC_ADDRESS": "dc:a6:32:0a:0b:0c"}).entry()["mac"] == "dc:a6:32:0a:0b:0c"


def test_eeprom_words():
    assert pairs(["BOOT_ORDER=0xf21", "TFTP_PREFIX_STR = a=b/"]) == {"BOOT_ORDER": "0xf21", "TFTP_PREFIX_STR": "a=b/"}
    for wrong in (["BOOT_ORDER"], ["=1"], ["A=1", "A=2"]):
        with pytest.raises(ConfigError):
            pairs(wrong)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model", "pi9"], "there is no model 'pi9'"),
        (["--model", "pi4", "--serial-number", "12"], "is not 8 hexadecimal digits"),
        (["--model", "pi4", "--mac", "01:00:00:00:00:01"], "is a group address"),
        (["--model", "pi4", "--revision", "xyz"], "revision: 'xyz'"),
        (["--model", "pi4", "--bootloader", "yesterday"], "yesterday"),
        (["--model", "pi4", "--speed", "0"], "speed: "),
        (["--model", "pi4", "--eeprom", "TFTP_IP=nowhere"], "TFTP_IP"),
        (["--model", "pi3b", "--eeprom", "BOOT_ORDER=0xf2"], "a pi3b has no EEPROM"),
        (["--model", "pi3b", "--mac", "b8:27:eb:00:00:01"], "is not the MAC address of a pi3b"),
        (["--model", "pi4", "--timeout", "0"], "is no time"),
    ],
)
def test_mistakes_are_configuration_errors_and_leave_no_run(tmp_path: Path, words: list[str], told: str):
    code, output = run(tmp_path, "--interface", "nosuch0", *words)
    assert code == 2, output
    assert told in output
    assert not list(tmp_path.iterdir())


def test_interface_that_is_not_there(tmp_path: Path):
    code, output = run(tmp_path, "--model", "pi4", "--interface", "nosuch0", "--json")
    assert code == 2, output
    assert "there is no network interface 'nosuch0'" in output
    assert json.loads(output[output.index("{") : output.rindex("}") + 1])["verdict"] == "config"


def test_interface_that_is_no_ethernet():
    with pytest.raises(ConfigError, match="lo is no Ethernet interface"):
        Interface("lo", bytes(6)).open()


def test_without_the_right(monkeypatch: pytest.MonkeyPatch):
    before = socket.socket

    def refused(family: int = -1, *more: int) -> socket.socket:
        if family == socket.AF_PACKET:
            raise PermissionError(1, "Operation not permitted")
        return before(family, *more)

    monkeypatch.setattr("harness.emulator.interface._ethernet", lambda _name: None)
    monkeypatch.setattr(socket, "socket", refused)
    with pytest.raises(InfraError, match="CAP_NET_RAW") as caught:
        Interface("eth1", bytes(6)).open()
    assert "root" in caught.value.remedy


def test_checksum_that_a_neighbour_left_to_its_card_is_filled_in():
    macs, ips = (b"\x02" + bytes(5), b"\x02" + bytes(4) + b"\1"), (bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))
    for payload in (b"", b"odd", bytes(range(200))):
        right = udp_frame(macs, ips, (69, 4000), payload, ttl=64, ident=1, checksum=True)
        left = bytearray(right)
        left[40:42] = b"\x12\x34"
        assert _with_checksum(bytes(left)) == right
        assert read_udp(_with_checksum(bytes(left)), verify=True)
    syn = Exchange(
        Stack(macs[0], ip=ips[0]), Server(macs[1], ips[1]), (4000, 80), b"", Response(9), now=0.0, sequence=7
    )
    segment = syn.start()[:58]  # without the padding
    left = bytearray(segment)
    left[50:52] = b"\x12\x34"
    assert _with_checksum(bytes(left)) == segment
    assert read_segment(_with_checksum(bytes(left))) is not None
    for odd in (b"", bytes(41), right[:40], bytes(60), segment[:51]):
        assert _with_checksum(odd) == odd
