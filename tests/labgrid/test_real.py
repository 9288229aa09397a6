# SPDX-License-Identifier: GPL-2.0-or-later
"""A board on a real labgrid: acquired, powered, read over its exporter's serial port, released; and what goes wrong there."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.board.watch import Blind
from harness.config import load
from harness.errors import ConfigError, InfraError
from harness.lab import Lab
from harness.labgrid.client import Client
from harness.labgrid.gear import LabgridPort
from harness.labgrid.place import Place
from harness.power.port import Timing
from harness.run import Run
from tests.lab.doubles import BOOT_TEXT
from tests.sharing.labs import end, line, piboot, until
from tests.sharing.labs import start as start_python

from .bench import Bench, bench, needs_labgrid, restart

pytestmark = pytest.mark.gear

LAB = """
version: 1
name: rack
policy: {wait: 0}
labgrid: {coordinator: "COORDINATOR", client: CLIENT}
boards:
  pi4-a:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    place: PLACE
"""

#: Boots the board up to power, says so, and waits to be killed.
BOOT = """
import sys, time
from pathlib import Path
from harness.config import load
from harness.lab import Lab
from harness.run import Run
with Lab(load(sys.argv[1]), Run.create(Path(sys.argv[2]), lab="rack")) as lab:
    boot = lab.board("pi4-a").boot(until="power")
    print(boot.verdict, boot.record.reason, flush=True)
    time.sleep(120)
"""


@pytest.fixture(scope="module")
def labgrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("labgrid"), needs_labgrid()) as made:
        yield made


@pytest.fixture
def lab(labgrid: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIBOOT_LOCKS", str(tmp_path / "locks"))
    labgrid.relay.forget()
    return write(tmp_path, labgrid)


def write(folder: Path, labgrid: Bench, **changes: str) -> Path:
    path = folder / "lab.yaml"
    words = {"COORDINATOR": labgrid.coordinator, "CLIENT": labgrid.program, "PLACE": labgrid.place, **changes}
    text = LAB
    for word, value in words.items():
        text = text.replace(word, value)
    path.write_text(text)
    return path


def open_lab(path: Path, **options: object) -> Lab:
    return Lab(load(path), Run.create(path.parent / "reports", lab="rack"), **options)  # type: ignore[arg-type]


def test_a_boot_from_acquire_to_release(labgrid: Bench, lab: Path) -> None:
    def speak() -> None:
        until("power", lambda: labgrid.powered)
        for text in BOOT_TEXT:
            os.write(labgrid.board, text.encode())

    board = threading.Thread(target=speak)
    board.start()
    with open_lab(lab) as opened:
        boot = opened.board("pi4-a").boot(until="userspace")
        board.join(60)
        assert boot.verdict == "passed", boot.record.reason
        assert labgrid.acquired.endswith(".piboot")
        assert "Debian GNU/Linux 12 pi ttyAMA0" in boot.console.text
        row = json.loads(piboot("lab", "--lab", str(lab), "--json").stdout)["boards"][0]
        assert (row["lease"], row["place"], row["power"]) == ("held", labgrid.place, "on")
        assert row["holder"]["place"] == labgrid.place
        assert row["acquired"].endswith(".piboot")
    assert labgrid.acquired == "None"
    assert labgrid.relay.history == ["on", "off"]
    assert "power for place pi4-rack2 is on" in (boot.folder / "power.jsonl").read_text()


def test_a_place_that_somebody_has_is_not_touched(labgrid: Bench, lab: Path) -> None:
    labgrid.client("acquire")
    try:
        with open_lab(lab) as opened:
            boot = opened.board("pi4-a").boot(until="power")
        assert boot.verdict == "infra"
        assert "the labgrid place pi4-rack2 is acquired by elsewhere/alice" in boot.record.reason
        assert "labgrid-client -p pi4-rack2 release" in boot.findings[0].remedy
        assert labgrid.relay.history == []
        shown = json.loads(piboot("lab", "--lab", str(lab), "--json").stdout)["boards"][0]
        assert (shown["lease"], shown["acquired"], shown["power"]) == ("free", "elsewhere/alice", "")
        assert "elsewhere/alice (labgrid place pi4-rack2)" in piboot("lab", "--lab", str(lab)).stdout
    finally:
        labgrid.client("release", check=False)


@pytest.mark.slow
def test_a_place_that_somebody_has_is_waited_for(labgrid: Bench, lab: Path) -> None:
    labgrid.client("acquire")
    try:

        class Freed(Blind):
            def progress(self, board: str, text: str) -> None:
                if "is acquired by elsewhere/alice" in text:
                    labgrid.client("release")

        with open_lab(lab, wait=120.0, viewer=Freed()) as opened:
            boot = opened.board("pi4-a").boot(until="power")
        assert boot.verdict == "passed", boot.record.reason
        assert "its labgrid place pi4-rack2 is acquired by elsewhere/alice" in boot.record.notes[0]
    finally:
        labgrid.client("release", check=False)


@pytest.mark.slow
def test_kill_9_leaves_neither_place_nor_power(labgrid: Bench, lab: Path) -> None:
    killed = start_python(BOOT, str(lab), str(lab.parent / "reports"))
    try:
        assert line(killed).startswith("passed")
        assert labgrid.powered
        assert labgrid.acquired.endswith(".piboot")
    finally:
        end(killed)
    until("the last will", lambda: labgrid.acquired == "None", 120)
    assert labgrid.relay.history == ["on", "off"]
    logs = list((lab.parent / "reports").glob("*/after-kill.log"))
    assert "its power was on and was switched off" in logs[0].read_text()


@pytest.mark.slow
def test_without_locks_the_place_itself_tells_that_a_run_of_ours_left_it(labgrid: Bench, lab: Path) -> None:
    """The machine was started anew: /run/lock is empty, the coordinator still has the place as ours."""
    client = Client(labgrid.coordinator, labgrid.program)
    Place(client, labgrid.place).acquire(0)
    LabgridPort(Place(client, labgrid.place)).on()
    done = piboot("lab", "release", "pi4-a", "--lab", str(lab))
    assert "the labgrid place of pi4-a was still acquired by an earlier run on this host" in done.stdout
    assert labgrid.acquired == "None"
    assert labgrid.relay.history == ["on", "off"]


def test_power_and_check_by_hand(labgrid: Bench, lab: Path) -> None:
    assert "was off, now on" in piboot("power", "pi4-a", "on", "--lab", str(lab)).stdout
    assert labgrid.relay.history == ["on"]
    assert labgrid.acquired == "None"
    rows = json.loads(piboot("check", "--lab", str(lab), "--json", check=False).stdout)["gear"]
    found = next(row for row in rows if row["kind"] == "place")
    assert found["reachable"] is True
    assert (
        "free; console (NetworkSerialPort), mirror (RemoteNetworkInterface), power (NetworkPowerPort)" in found["state"]
    )
    assert not [row for row in rows if row["kind"] in {"power", "console"}]


def test_a_switch_that_does_not_obey(labgrid: Bench, lab: Path) -> None:
    place = Place(Client(labgrid.coordinator, labgrid.program), labgrid.place)
    place.acquire(0)
    labgrid.relay.stuck = True
    try:
        with pytest.raises(
            InfraError, match=r"told to switch on and did not within .*last: it said 'off' \(power for place"
        ):
            LabgridPort(place, timing=Timing(limit=0.5, poll=0.1)).on()
    finally:
        labgrid.relay.stuck = False
        place.release()


def test_power_of_a_place_that_is_not_ours(labgrid: Bench) -> None:
    port = LabgridPort(Place(Client(labgrid.coordinator, labgrid.program), labgrid.place))
    with pytest.raises(InfraError, match="place pi4-rack2 is not acquired"):
        port.state()


def test_a_place_without_power(labgrid: Bench, lab: Path) -> None:
    place = Place(Client(labgrid.coordinator, labgrid.program), "bare")
    assert place.acquire(0) is False
    assert place.acquire(0) is True
    try:
        with pytest.raises(InfraError, match="labgrid said of bare: "):
            LabgridPort(place).state()
        with pytest.raises(InfraError, match="it has no serial port"):
            place.resource(("NetworkSerialPort",), None, "serial port", "console")
    finally:
        place.release()
        place.release()


@pytest.mark.parametrize(
    ("changes", "verdict", "reason", "remedy"),
    [
        ({"PLACE": "pi4-rack"}, "config", "knows no place 'pi4-rack'", "labgrid-client -x"),
        ({"CLIENT": "/nowhere/labgrid-client"}, "infra", "/nowhere/labgrid-client cannot be run", "venv of its own"),
        (
            {"COORDINATOR": "127.0.0.1:1"},
            "infra",
            "the labgrid coordinator does not answer",
            "start labgrid-coordinator",
        ),
    ],
)
def test_what_lab_yaml_names_wrongly(
    labgrid: Bench, lab: Path, changes: dict[str, str], verdict: str, reason: str, remedy: str
) -> None:
    path = write(lab.parent, labgrid, **changes)
    with open_lab(path) as opened:
        boot = opened.board("pi4-a").boot(until="power")
    assert boot.verdict == verdict
    assert reason in boot.record.reason
    assert remedy in boot.findings[0].remedy
    assert isinstance(boot.error, ConfigError if verdict == "config" else InfraError)


@pytest.mark.slow
def test_a_coordinator_that_dies_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The board cannot be switched off then: told, and left to the next run, which finds all as it was."""
    monkeypatch.setenv("PIBOOT_LOCKS", str(tmp_path / "locks"))
    with bench(tmp_path, needs_labgrid()) as own:
        path = write(tmp_path, own)
        path.write_text(path.read_text() + "    power: {driver: labgrid, limit: 15.0}\n")
        opened = open_lab(path)
        boot = opened.board("pi4-a").boot(until="power")
        assert boot.verdict == "passed", boot.record.reason
        os.kill(own.processes["coordinator"].pid, signal.SIGKILL)
        own.processes["coordinator"].wait()
        with pytest.raises(InfraError, match=r"the labgrid coordinator does not answer|did not within 15 s"):
            opened.close()
        assert own.powered
        restart(own)
        piboot("lab", "release", "pi4-a", "--lab", str(path))
        assert not own.powered
        assert own.acquired == "None"
