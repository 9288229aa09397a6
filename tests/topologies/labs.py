# SPDX-License-Identifier: GPL-2.0-or-later
"""Labs of boards that differ in one thing each, on any topology, with the light root."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.models import MODELS
from harness.servers.programs import requirements, system_path

LABS = Path(__file__).parents[2] / "docs" / "labs"
NFS = ("dnsmasq-nfs", "router-option-66", "openwrt-43-66")

HEAD = """
version: 1
name: topologies
emulation: {speed: 50}
wires: {bench: {kind: emulated}}
servers: {netboot: {kind: emulated, root: light, topology: TOPOLOGYMORE}}
boards:
"""
BOARD = """
  NAME:
    model: MODEL
    serial_number: "SERIAL"
    mac: "MAC"
    wire: bench
    server: netboot
    power: {driver: emulated}
    console: {driver: emulated}
    login: {user: root}
"""


@dataclass(frozen=True)
class Pi:
    """A board of a lab. keys: what it has beside the usual, key -> YAML."""

    name: str
    model: str
    number: int = 0
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def serial(self) -> str:
        return f"5c{list(MODELS).index(self.model):02x}00{self.number:02x}"

    @property
    def mac(self) -> str:
        oui = "b8:27:eb" if MODELS[self.model].bootloader == "rom" else "dc:a6:32"
        return f"{oui}:{self.serial[2:4]}:{self.serial[4:6]}:{self.serial[6:]}"

    def text(self) -> str:
        own = {"NAME": self.name, "MODEL": self.model, "SERIAL": self.serial, "MAC": self.mac}
        text = BOARD
        for word, value in own.items():
            text = text.replace(word, value)
        return text + "".join(f"    {key}: {value}\n" for key, value in self.keys.items())


def lab_text(topology: str, *boards: Pi, more: str = "") -> str:
    """more: further keys of the server, ', nfs: "4.1"'."""
    head = HEAD.replace("TOPOLOGY", topology).replace("MORE", more)
    return head + "".join(board.text() for board in boards)


def skip_without(topology: str) -> None:
    """Where the rig cannot be: no root, or a program that is not installed."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the emulated lab's NFS server opens files by handle")
    absent = [entry for entry in requirements(topology) if shutil.which(entry.program, path=system_path()) is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(entry.debian_package for entry in absent)}")
