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
from tests import emulated

LABS = Path(__file__).parents[2] / "docs" / "labs"
NFS = ("dnsmasq-nfs", "router-option-66", "openwrt-43-66")


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
        return emulated.board(self.name, self.model, self.serial, self.mac, **self.keys)


def lab_text(topology: str, *boards: Pi, more: str = "") -> str:
    """more: further keys of the server, 'nfs: "4.1"'."""
    server = f"topology: {topology}" + (more and f", {more}")
    return emulated.lab("topologies", *(board.text() for board in boards), server=server)


def skip_without(topology: str) -> None:
    """Where the rig cannot be: no root, or a program that is not installed."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the emulated lab's NFS server opens files by handle")
    absent = [entry for entry in requirements(topology) if shutil.which(entry.program, path=system_path()) is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(entry.debian_package for entry in absent)}")
