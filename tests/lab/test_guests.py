# SPDX-License-Identifier: GPL-2.0-or-later
"""Never more virtual machines at once than the lab allows: among threads, among processes, and after a kill."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.boot.expect import Expectation
from harness.errors import InfraError
from harness.lab.guests import Guests, folder_for
from harness.run import Run
from tests.boot.stream import BUDGETS
from tests.lab.doubles import MemoryPort, make_board

pytestmark = pytest.mark.gear

#: A process that takes a turn, notes when, and gives it back; or stays until it is killed.
PROGRAM = """
import sys, time
from pathlib import Path
from harness.lab.guests import Guests
folder, name, keep = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
guests = Guests(folder / "turns", 2, patience=30)
guests.take(name)
began = time.monotonic()
(folder / (name + ".has")).touch()
if keep == "keep":
    time.sleep(60)
time.sleep(0.05)
(folder / (name + ".span")).write_text(f"{began} {time.monotonic()}")
guests.give_back(name)
"""


def start(folder: Path, name: str, keep: str = "") -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), name, keep])


def most_at_once(spans: list[tuple[float, float]]) -> int:
    return max(sum(start <= at < end for start, end in spans) for at, _ in spans)


def until(done: Path) -> None:
    deadline = time.monotonic() + 20
    while not done.exists():
        assert time.monotonic() < deadline, f"{done.name} did not come"
        time.sleep(0.01)


def test_threads_of_several_labs(tmp_path: Path) -> None:
    labs = [Guests(tmp_path / "turns", 2, patience=20) for _ in range(2)]
    spans: list[tuple[float, float]] = []

    def boot(number: int) -> None:
        guests = labs[number % 2]
        guests.take(f"b{number}")
        began = time.monotonic()
        time.sleep(0.01)
        spans.append((began, time.monotonic()))
        guests.give_back(f"b{number}")

    threads = [threading.Thread(target=boot, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(spans) == 12
    assert most_at_once(spans) <= 2


def test_processes_and_one_that_is_killed(tmp_path: Path) -> None:
    killed = start(tmp_path, "killed", "keep")
    until(tmp_path / "killed.has")
    others = [start(tmp_path, f"p{number}") for number in range(4)]
    mine = Guests(tmp_path / "turns", 2, patience=20)
    for process in others:
        assert process.wait(20) == 0
    mine.take("mine")
    words: list[str] = []
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(5)
    # With its holder the turn came back; no file is stale.
    mine.take("second", words.append)
    assert not words
    spans = [tuple(map(float, (tmp_path / f"p{number}.span").read_text().split())) for number in range(4)]
    assert most_at_once([(start, end) for start, end in spans]) == 1  # the killed one had the other turn


def test_the_wait_is_told_once_and_ends_with_a_release(tmp_path: Path) -> None:
    guests, other = Guests(tmp_path, 1), Guests(tmp_path, 1)
    guests.take("a")
    told: list[str] = []
    has = threading.Event()

    def wait() -> None:
        other.take("b", told.append)
        has.set()

    threading.Thread(target=wait, daemon=True).start()
    assert not has.wait(0.3)
    assert told == [f"waits for its turn, 1 virtual machines run already (emulation.guests): a (process {os.getpid()})"]
    guests.give_back("a")
    guests.give_back("a")
    assert has.wait(5)


def test_a_board_keeps_its_turn_over_its_next_boot(tmp_path: Path) -> None:
    guests = Guests(tmp_path, 1)
    guests.take("a")
    guests.take("a")
    guests.close()
    Guests(tmp_path, 1, patience=0).take("b")


def test_who_holds_all_turns_cannot_wait_for_himself(tmp_path: Path) -> None:
    guests = Guests(tmp_path, 2)
    guests.take("a")
    guests.take("b")
    with pytest.raises(InfraError, match="a, b of the same test run already") as caught:
        guests.take("c")
    assert "3" in caught.value.remedy


def test_patience_ends(tmp_path: Path) -> None:
    other = Guests(tmp_path, 1)
    other.take("a")
    with pytest.raises(InfraError, match="had no turn within 0 s; these had: a"):
        Guests(tmp_path, 1, patience=0).take("b")


def test_each_lab_has_its_own_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIBOOT_SCRATCH", str(tmp_path))
    assert folder_for("/a/lab.yaml") != folder_for("/b/lab.yaml")
    assert folder_for("/a/lab.yaml").parent == tmp_path


def test_a_board_that_is_switched_off_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    board = make_board(Run.create(tmp_path, lab="x", name="run"), None, power=MemoryPort(), budgets={**BUDGETS})
    board.gear = replace(board.gear, released=lambda: said.append("off"))
    board.expectation = Expectation(board="pi4-a", model="pi4", until="power", has_console=False, has_wire=False)
    board.boot(until="power")
    assert not said
    board.off()
    assert said == ["off"]
