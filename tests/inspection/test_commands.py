# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot check --power` and `piboot power`: what they switch, what they say, and whose board they leave alone."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.sharing.labs import end, history, line, piboot, start, write_lab
from tests.sharing.test_lab import BOOT

pytestmark = pytest.mark.gear


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIBOOT_LOCKS", str(tmp_path / "locks"))
    return write_lab(tmp_path, "a", "b")


def test_a_check_asks_and_switches_nothing(lab: Path) -> None:
    done = piboot("check", "--lab", str(lab))
    assert "power of a: command sh" in done.stdout
    assert "all of it is ready" in done.stdout
    assert "\x1b" not in done.stdout
    whole = json.loads(piboot("check", "--lab", str(lab), "--json").stdout)
    assert whole["ok"]
    assert [(row["gear"], row["state"].split(",")[0]) for row in whole["gear"]] == [
        ("power of a: command sh", "off"),
        ("power of b: command sh", "off"),
    ]
    assert history(lab.parent, "a") == history(lab.parent, "b") == ["off"]


def test_a_check_with_power_cycles_each_port_and_leaves_it_as_it_was(lab: Path) -> None:
    (lab.parent / "b").write_text("on\n")
    done = piboot("check", "--lab", str(lab), "--power", "--json")
    cycles = [row for row in json.loads(done.stdout)["gear"] if row["gear"].startswith("power cycle")]
    assert [row["ok"] for row in cycles] == [True, True]
    assert history(lab.parent, "a") == ["off", "on", "off"]
    assert history(lab.parent, "b") == ["on", "off", "on"]
    assert "left off, as it was found" in cycles[0]["state"]
    assert "cannot know whether the board lost power" in cycles[1]["state"]
    assert "cycling the power of a" in done.stderr


def test_a_port_that_does_not_obey_is_the_labs_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIBOOT_LOCKS", str(tmp_path / "locks"))
    lab = write_lab(tmp_path, "a", off="exit 1")
    (tmp_path / "a").write_text("on\n")
    done = piboot("check", "--lab", str(lab), "--power", check=False)
    assert done.returncode == 3
    assert "refused to switch off" in done.stdout
    done = piboot("power", "a", "off", "--lab", str(lab), check=False)
    assert done.returncode == 3
    assert "InfraError" in done.stderr
    assert history(tmp_path, "a") == ["on"]


def test_power_by_hand(lab: Path) -> None:
    def power(action: str) -> str:
        return piboot("power", "a", action, "--lab", str(lab)).stdout

    assert power("state") == "a: command sh: off (exit status 0: off)\n"
    assert power("on") == "a: command sh: was off, now on (exit status 0: on)\n"
    said = power("cycle")
    assert said.startswith("a: command sh: was on, off (cannot know whether the board lost power")
    assert said.endswith("now on (exit status 0: on)\n")
    assert power("off").startswith("a: command sh: was on, now off")
    assert history(lab.parent, "a") == ["off", "on", "off", "on", "off"]
    found = json.loads(piboot("power", "a", "state", "--lab", str(lab), "--json").stdout)
    assert (found["board"], found["before"], found["after"], found["loss"]) == ("a", "off", "off", None)


def test_a_board_that_a_run_has_is_left_alone(lab: Path) -> None:
    other = start(BOOT, str(lab), "a", str(lab.parent / "reports"))
    try:
        assert line(other) == "passed"
        before = history(lab.parent, "a")
        done = piboot("power", "a", "off", "--lab", str(lab), check=False)
        assert done.returncode == 3
        assert f"process {other.pid}" in done.stderr
        assert "was on" not in done.stdout
        assert ": on" in piboot("power", "a", "state", "--lab", str(lab)).stdout, "to ask is nobody's harm"
        done = piboot("check", "--lab", str(lab), "--power", check=False)
        assert done.returncode == 3
        assert f"process {other.pid}" in done.stdout.replace("\n" + " " * 19, " ")
        assert history(lab.parent, "a") == before
        assert history(lab.parent, "b") == ["off", "on", "off"]
    finally:
        os.kill(other.pid, signal.SIGINT)
        other.wait(60)
        end(other)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("a", "blink"), 2, "choose of: on, off, cycle, state"),
        (("nobody", "on"), 2, "choose of: a, b"),
    ],
)
def test_mistakes(lab: Path, words: tuple[str, str], code: int, said: str) -> None:
    done = piboot("power", *words, "--lab", str(lab), check=False)
    assert done.returncode == code
    assert said in done.stderr


def test_an_emulated_board_has_power_only_in_a_run() -> None:
    done = piboot("power", "pi4-a", "on", check=False)
    assert done.returncode == 2
    assert "only while a run lasts" in done.stderr
