# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets at a labgrid place's network interface: a real labgrid names it, a real sshd and tcpdump capture there."""

import os
import socket
import time
from pathlib import Path

import pytest

from harness.boot.events import Event
from harness.config import load
from harness.errors import HarnessError, InfraError
from harness.lab.places import capture_of, place_of
from tests.wire.sshd import SSHD, Sshd

from .bench import bench, needs_labgrid

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: sends frames of its own"),
    pytest.mark.skipif(SSHD is None, reason="not installed: openssh-server"),
]

MAC = "e4:5f:01:09:02:f7"
LAB = """
version: 1
name: rack
labgrid: {coordinator: "COORDINATOR", client: CLIENT}
wires: {mirror: {kind: labgrid, port: PORT, key: FOLDER/user, known_hosts: FOLDER/known_hosts, config: FOLDER/ssh_config}}
boards:
  pi4-a: {model: pi4, serial_number: "91cdf03d", mac: "MAC", wire: mirror, place: PLACE}
  other: {model: pi4, serial_number: "91cdf03e", mac: "e4:5f:01:09:02:f8", wire: mirror, place: bare}
"""


def arp_request() -> bytes:
    own = bytes.fromhex(MAC.replace(":", ""))
    head = b"\xff" * 6 + own + b"\x08\x06" + b"\x00\x01\x08\x00\x06\x04\x00\x01"
    return head + own + bytes([10, 9, 9, 2]) + b"\0" * 6 + bytes([10, 9, 9, 1]) + b"\0" * 18


def test_the_place_says_where_and_ssh_brings_it(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    with bench(tmp_path, needs_labgrid()) as labgrid, Sshd(tmp_path / "ssh").running() as sshd:
        (sshd.folder / "ssh_config").touch()
        words = {"COORDINATOR": labgrid.coordinator, "CLIENT": labgrid.program, "PORT": str(sshd.port), "MAC": MAC}
        text = LAB
        for word, value in {**words, "PLACE": labgrid.place, "FOLDER": str(sshd.folder)}.items():
            text = text.replace(word, value)
        (tmp_path / "lab.yaml").write_text(text)
        lab = load(tmp_path / "lab.yaml")
        events: list[Event] = []
        errors: list[HarnessError] = []
        board = lab.boards["pi4-a"]
        opened = capture_of(lab, board, place_of(lab, board))
        assert opened is not None
        with (
            opened(tmp_path / "boot", events.append, errors.append),
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw,
        ):
            raw.bind(("lo", 0))
            deadline = time.monotonic() + 60
            while not events:
                raw.send(arp_request())
                assert time.monotonic() < deadline, errors
                time.sleep(0.1)
        assert not errors
        assert bytes.fromhex(MAC.replace(":", "")) in (tmp_path / "boot/capture.pcapng").read_bytes()

        other = lab.boards["other"]
        opened = capture_of(lab, other, place_of(lab, other))
        assert opened is not None
        with pytest.raises(InfraError, match="the labgrid place bare cannot be used: it has no network interface"):
            opened(tmp_path / "boot", events.append, errors.append)
