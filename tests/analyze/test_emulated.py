# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots of emulated boards from a real dnsmasq: their bare files tell the same as their record, without any lab file."""

import os
from pathlib import Path

import pytest

from harness.analyze import analyze
from harness.config import loads
from harness.lab import Lab
from harness.run import Run
from tests.stand_ins import small_boot_files

SERIAL = "8b07bcc6"

TEXT = """
version: 1
name: analyze
emulation: {{speed: 50}}
wires: {{bench: {{kind: emulated}}}}
servers: {{netboot: {{kind: emulated, root: light}}}}
boards:
  board:
    model: {model}
    serial_number: "8b07bcc6"
    mac: "{mac}"
    revision: "{revision}"
    wire: bench
    server: netboot
    power: {{driver: emulated}}
    console: {{driver: emulated}}
    login: {{user: root}}
"""


@pytest.mark.netns
@pytest.mark.qemu
@pytest.mark.parametrize(
    ("model", "mac", "revision", "programs"),
    [
        ("pi3b", "b8:27:eb:07:bc:c6", "a02082", ("rom", "bootcode.bin", "start.elf")),
        ("pi3bplus", "b8:27:eb:07:bc:c6", "a020d3", ("rom", "bootcode.bin", "start.elf")),
        ("pi4", "e4:5f:01:07:bc:c6", "c03112", ("eeprom", "start4.elf")),
        ("pi5", "88:a2:9e:07:bc:c6", "d04170", ("eeprom",)),
    ],
)
def test_an_emulated_board(model: str, mac: str, revision: str, programs: tuple[str, ...], tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: the emulated lab's NFS server opens files by handle")
    run = Run.create(tmp_path / "reports", lab="analyze")
    lab_yaml = loads(TEXT.format(model=model, mac=mac, revision=revision))
    with small_boot_files(tmp_path / "boot"), Lab(lab_yaml, run) as lab:
        boot = lab.board("board").boot("firmware")
    record, folder = boot.record, boot.folder
    assert record.passed, record.reason
    capture, console = tmp_path / "x.log", tmp_path / "y.pcap"  # names tell nothing
    capture.write_bytes((folder / "capture.pcapng").read_bytes())
    console.write_bytes((folder / "console.log").read_bytes())
    (board,) = analyze([capture])
    assert (board.kind, board.model, board.model_certain) == ("raspberry-pi", model, True)
    assert (board.serial_number, board.mac) == (SERIAL, mac)
    assert board.programs[: len(programs)] == programs
    assert [file.path for file in board.tftp][: len(record.tftp)] == [file.path for file in record.tftp]
    assert [one.asked_by for one in board.dhcp][: len(record.dhcp)] == [one.asked_by for one in record.dhcp]
    assert board.failed_stage is None
    assert not [file.path for file in board.tftp if file.result == "not found" and not file.normal]
    assert not [finding for finding in board.findings if finding.severity == "fault"]
    (both,) = analyze([console, capture])
    assert (both.model, both.serial_number, len(both.files)) == (model, SERIAL, 2)
