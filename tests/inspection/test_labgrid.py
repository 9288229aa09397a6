# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot check`, `power` and `console` on a board that is a place of a real labgrid."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.config import load
from harness.inspection import survey
from tests.labgrid.bench import Bench, bench, needs_labgrid
from tests.labgrid.test_real import write
from tests.sharing.labs import piboot

pytestmark = pytest.mark.gear


@pytest.fixture(scope="module")
def labgrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("labgrid"), needs_labgrid()) as made:
        yield made


@pytest.fixture
def lab(labgrid: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIBOOT_LOCKS", str(tmp_path / "locks"))
    labgrid.relay.forget()
    return write(tmp_path, labgrid)


def test_a_place_is_looked_at_and_not_acquired(labgrid: Bench, lab: Path) -> None:
    (row,) = [row for row in survey(load(lab)) if row.kind == "place"]
    assert (row.gear, row.reachable) == (f"labgrid place {labgrid.place} of pi4-a", True)
    assert row.state.startswith("free; ")
    assert "NetworkSerialPort" in row.state
    assert row.identity == f"coordinator {labgrid.coordinator}"
    assert (labgrid.acquired, labgrid.relay.history) == ("None", [])


def test_a_place_of_somebody_elses(labgrid: Bench, lab: Path) -> None:
    labgrid.client("acquire")
    try:
        (row,) = survey(load(lab))
        assert (row.ok, row.state.partition(";")[0]) == (True, "acquired by elsewhere/alice")
        done = piboot("power", "pi4-a", "on", "--lab", str(lab), check=False)
        assert done.returncode == 3
        assert "is acquired by elsewhere/alice" in done.stderr
        assert labgrid.relay.history == []
    finally:
        labgrid.client("release", check=False)


def test_a_coordinator_that_is_not_there(lab: Path, labgrid: Bench) -> None:
    lab.write_text(lab.read_text().replace(labgrid.coordinator, "127.0.0.1:9"))
    (row,) = survey(load(lab))
    assert (row.reachable, row.ok) == (False, False)
    assert "start labgrid-coordinator there" in row.fix


def test_power_by_hand(labgrid: Bench, lab: Path) -> None:
    done = json.loads(piboot("power", "pi4-a", "on", "--lab", str(lab), "--json").stdout)
    assert (done["before"], done["after"]) == ("off", "on")
    assert labgrid.acquired == "None", "the place is given back, and keeps its power"
    assert labgrid.relay.history == ["on"]
    assert ": on (" in piboot("power", "pi4-a", "state", "--lab", str(lab)).stdout
    assert labgrid.relay.history == ["on"]
