# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot lab` shows every board without touching it; `piboot lab release` frees what a dead run left, and nothing else."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness.sharing import lease as lease_module

from .labs import end, history, line, piboot, start, write_lab
from .test_lab import BOOT

pytestmark = pytest.mark.gear
WITHOUT_WILL = BOOT.replace("load(lab)", "loads(open(lab).read())").replace("import load\n", "import loads\n")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIBOOT_LOCKS", str(tmp_path / "locks"))
    return write_lab(tmp_path, "a", "b")


def rows(lab: Path) -> dict[str, Any]:
    shown = piboot("lab", "--lab", str(lab), "--reports", str(lab.parent / "reports"), "--json")
    return {row["board"]: row for row in json.loads(shown.stdout)["boards"]}


def test_a_table_of_all_boards(lab: Path) -> None:
    reports = lab.parent / "reports"
    free = {"lease": "free", "holder": None, "place": "", "acquired": "", "last": None}
    assert rows(lab)["a"] == {"board": "a", "model": "pi4", "power": "off", "power_note": "command sh", **free}
    other = start(BOOT, str(lab), "a", str(reports))
    try:
        assert line(other) == "passed"
        (lab.parent / "b").write_text("on\n")
        found = rows(lab)
        text = piboot("lab", "--lab", str(lab), "--reports", str(reports)).stdout.splitlines()
    finally:
        os.kill(other.pid, signal.SIGINT)
        other.wait(60)
        end(other)
    assert found["a"]["lease"] == "held"
    assert found["a"]["holder"]["pid"] == other.pid
    assert found["a"]["holder"]["stale"] is False
    assert (found["a"]["power"], found["a"]["power_note"]) == ("on", "its run says so")
    assert found["a"]["last"]["verdict"] == "passed"
    assert found["a"]["last"]["folder"].startswith(str(reports))
    assert (found["b"]["lease"], found["b"]["power"], found["b"]["last"]) == ("free", "on", None)
    assert text[0].split() == ["BOARD", "MODEL", "IN", "USE", "BY", "POWER", "LAST", "BOOT"]
    assert f"process {other.pid}" in text[1]
    assert "passed, 20" in text[1]
    after = rows(lab)
    assert (after["a"]["lease"], after["a"]["power"]) == ("free", "off"), "Ctrl-C leaves no lock, and the board off"
    assert history(lab.parent, "b") == ["on"], "nobody's power was touched"


def test_release_frees_a_dead_run_s_board_and_not_a_living_one_s(lab: Path) -> None:
    assert piboot("lab", "release", "a", "--lab", str(lab)).stdout == "a is free\n"
    other = start(WITHOUT_WILL, str(lab), "a", str(lab.parent / "reports"))
    try:
        assert line(other) == "passed"
        refused = piboot("lab", "release", "a", "--lab", str(lab), check=False)
        assert refused.returncode == 3
        assert "a board is not taken from a run that lives" in refused.stderr
        assert f"kill -INT {other.pid}" in refused.stderr
        assert history(lab.parent, "a") == ["off", "on"]
    finally:
        end(other)
    assert rows(lab)["a"]["lease"] == "left"
    done = piboot("lab", "release", "a", "--lab", str(lab))
    assert "its power was on and was switched off (policy.after_run: off)" in done.stdout
    assert history(lab.parent, "a") == ["off", "on", "off"]
    assert rows(lab)["a"]["lease"] == "free"


def test_release_of_a_board_whose_switch_is_dead_leaves_it_to_the_next(lab: Path) -> None:
    other = start(WITHOUT_WILL, str(lab), "a", str(lab.parent / "reports"))
    try:
        assert line(other) == "passed"
    finally:
        end(other)
    text = lab.read_text()
    lab.write_text(text.replace("echo off", "false", 1))
    refused = piboot("lab", "release", "a", "--lab", str(lab), check=False)
    assert refused.returncode == 3
    assert "its power could not be brought to the policy's state: command sh refused to switch off" in refused.stdout
    lab.write_text(text)
    assert rows(lab)["a"]["lease"] == "left"
    piboot("lab", "release", "a", "--lab", str(lab))
    assert history(lab.parent, "a")[-1] == "off"


def test_an_unknown_board(lab: Path) -> None:
    done = piboot("lab", "release", "c", "--lab", str(lab), check=False)
    assert done.returncode == 2
    assert "choose of: a, b" in done.stderr


@pytest.mark.slow
def test_release_takes_a_board_from_a_run_that_was_stopped(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In real time: a minute without a sign of life, and two beats of watching."""
    other = start(WITHOUT_WILL, str(lab), "a", str(lab.parent / "reports"))
    try:
        assert line(other) == "passed"
        os.kill(other.pid, signal.SIGSTOP)
        file = lab.parent / "locks/e45f01090200.lease"
        row = json.loads(file.read_text())
        file.write_text(json.dumps(row | {"heartbeat": row["heartbeat"] - 3600}))
        assert lease_module.BEAT == 5.0
        done = piboot("lab", "release", "a", "--lab", str(lab))
        assert "gave no sign of life any more" in done.stdout
        assert history(lab.parent, "a") == ["off", "on", "off"]
    finally:
        end(other)
