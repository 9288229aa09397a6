# SPDX-License-Identifier: GPL-2.0-or-later
"""power.jsonl: edges as they happen, and read back."""

from pathlib import Path

import pytest

from harness.boot.events import PowerEdge
from harness.errors import ConfigError, InfraError
from harness.power.journal import JournaledPort, PowerJournal, edges_of

from .doubles import Clock, DoublePort, Outlet


def test_asked_before_and_confirmed_after_and_the_file_says_the_same(tmp_path: Path) -> None:
    told: list[PowerEdge] = []
    outlet = Outlet("slow")
    port = JournaledPort(DoublePort(outlet, Clock().timing()), PowerJournal(tmp_path, told.append))
    port.on()
    port.off()
    assert [(edge.on, edge.phase) for edge in told] == [
        (True, "asked"), (True, "confirmed"), (False, "asked"), (False, "confirmed"),
    ]  # fmt: skip
    assert told[0].detail == "double port 1"
    assert told[1].detail == "read back on"
    assert [edge.t for edge in told] == sorted(edge.t for edge in told)
    assert edges_of(tmp_path / "power.jsonl") == told


def test_a_port_that_fails_leaves_what_was_asked(tmp_path: Path) -> None:
    port = JournaledPort(DoublePort(Outlet("stuck"), Clock().timing()), PowerJournal(tmp_path))
    with pytest.raises(InfraError):
        port.on()
    assert [edge.phase for edge in edges_of(tmp_path / "power.jsonl")] == ["asked"]


def test_torn_and_senseless_lines_are_passed_over(tmp_path: Path) -> None:
    journal = PowerJournal(tmp_path)
    edge = journal.edge(True, "asked", "x")
    path = tmp_path / "power.jsonl"
    path.write_bytes(path.read_bytes() + b'{"t": "1", "on": true}\n[]\nnull\n\xff\n{"t": 2.0, "on": tr')
    assert edges_of(path) == [edge]
    with pytest.raises(ConfigError, match="cannot be read"):
        edges_of(tmp_path / "none")


def test_a_full_disk_is_an_infra_error(tmp_path: Path) -> None:
    (tmp_path / "power.jsonl").symlink_to("/dev/full")
    with pytest.raises(InfraError, match="No space left"):
        PowerJournal(tmp_path).edge(True, "asked")
