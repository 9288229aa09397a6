# SPDX-License-Identifier: GPL-2.0-or-later
"""Two runs on one lab of real boards: side by side board by board, and after a kill -9 in the middle of one."""

import os
import signal
import threading
from pathlib import Path

import pytest

from harness.board.watch import Blind
from harness.config import load
from harness.errors import InfraError
from harness.lab import Lab
from harness.run import Run
from harness.run.replay import read_record

from .labs import end, history, line, start, until, write_lab

pytestmark = pytest.mark.gear

#: Boots a board up to power, says so, and waits: for a line on stdin, or to be killed.
BOOT = """
import sys, time
from pathlib import Path
from harness.config import load
from harness.lab import Lab
from harness.run import Run
lab, board, reports = sys.argv[1:4]
with Lab(load(lab), Run.create(Path(reports), lab="files"), wait=0) as opened:
    boot = opened.board(board).boot(until="power")
    print(boot.verdict, flush=True)
    time.sleep(120)
"""


@pytest.fixture(autouse=True)
def _own_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIBOOT_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr("harness.sharing.leases.BEAT", 3600.0)  # signs of life, where a test is about them, are its own


def run(folder: Path) -> Run:
    return Run.create(folder / "reports", lab="files")


def test_boards_are_shared_one_by_one(tmp_path: Path) -> None:
    lab = load(write_lab(tmp_path, "a", "b"))
    with Lab(lab, run(tmp_path), wait=0) as first, Lab(lab, run(tmp_path), wait=0) as second:
        assert first.board("a").boot("power").verdict == "passed"
        assert second.board("b").boot("power").verdict == "passed"
        busy = second.board("a").boot("power")
        assert busy.verdict == "infra"
        assert f"a is in use by {os.environ.get('USER', '')}" in busy.record.reason
        assert "piboot lab" in busy.findings[0].remedy
        assert history(tmp_path, "a") == ["off", "on"], "a board that somebody has is not touched"
        first.give_back("a")
        assert second.board("a").boot("power").verdict == "passed"
        assert history(tmp_path, "a") == ["off", "on", "off", "on"]
    assert history(tmp_path, "a")[-1] == history(tmp_path, "b")[-1] == "off"


def test_two_lab_files_of_one_board_mean_the_same_board(tmp_path: Path) -> None:
    lab = load(write_lab(tmp_path, "a"))
    (tmp_path / "mine").mkdir()
    own = tmp_path / "mine/own.yaml"
    own.write_text((tmp_path / "lab.yaml").read_text().replace("  a:\n", "  my-board:\n"))
    with Lab(lab, run(tmp_path), wait=0) as first, Lab(load(own), run(tmp_path), wait=0) as second:
        first.board("a").boot("power")
        assert second.board("my-board").boot("power").verdict == "infra"


def test_a_wait_stands_on_the_record(tmp_path: Path) -> None:
    class Notes(Blind):
        waits = threading.Event()

        def progress(self, board: str, text: str) -> None:
            if "in use by" in text:
                self.waits.set()

    lab, notes = load(write_lab(tmp_path, "a")), Notes()
    with Lab(lab, run(tmp_path)) as first, Lab(lab, run(tmp_path), viewer=notes, wait=60) as second:
        first.board("a").boot("power")
        ended = threading.Thread(target=lambda: (notes.waits.wait(60), first.give_back("a")))
        ended.start()
        boot = second.board("a").boot("power")
        ended.join(60)
        assert boot.verdict == "passed"
        assert boot.record.notes[0].startswith("waited ")
        assert "for a: it is in use by" in boot.record.notes[0]
        assert read_record(boot.folder / "record.json").notes == boot.record.notes


@pytest.mark.parametrize(("policy", "left"), [("off", "off"), ("keep", "on")])
def test_kill_9_frees_the_board_and_its_last_will_brings_its_power_where_the_policy_says(
    tmp_path: Path, policy: str, left: str
) -> None:
    path = write_lab(tmp_path, "a", policy=f"{{after_run: {policy}}}")
    killed = start(BOOT, str(path), "a", str(tmp_path / "reports"))
    try:
        assert line(killed) == "passed"
        assert history(tmp_path, "a")[-1] == "on"
        killed.kill()
        killed.wait()
        if policy == "off":
            until("the last will", lambda: history(tmp_path, "a")[-1] == "off")
        # Whoever comes first, the will or this run: the board is had at once, and what was done is told.
        with Lab(load(path), run(tmp_path), wait=60) as lab:
            assert lab.board("a").boot("power").verdict == "passed"
            lab.board("a").release()
        assert history(tmp_path, "a")[-1] == left
    finally:
        end(killed)


def test_without_a_last_will_the_next_run_does_it_and_says_so(tmp_path: Path) -> None:
    path = write_lab(tmp_path, "a", "b")
    # A lab that came from a text leaves no will: nobody could open it again.
    killed = start(BOOT.replace("load(lab)", "loads(open(lab).read())").replace("import load", "import loads"),
                   str(path), "a", str(tmp_path / "reports"))  # fmt: skip
    try:
        assert line(killed) == "passed"
    finally:
        end(killed)
    assert history(tmp_path, "a") == ["off", "on"]
    said: list[str] = []
    mine = run(tmp_path)
    with Lab(load(path), mine, names=["b"], progress=said.append):
        assert history(tmp_path, "a") == ["off", "on", "off"], "also a board that this run does not use"
    assert len(said) == 1
    assert f"a was taken over from {os.environ.get('USER', '')}" in said[0]
    assert f"process {killed.pid}" in said[0]
    assert "which was killed, or ended without giving it back; its last word on power: on, confirmed" in said[0]
    assert "its power was on and was switched off (policy.after_run: off)" in said[0]
    assert mine.notes() == said


def test_killed_between_off_and_on(tmp_path: Path) -> None:
    """The program that switches off tells us, and we kill the run while it is in it."""
    slow = f"touch {tmp_path}/asked; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo off >> {tmp_path}/a"
    path = write_lab(tmp_path, "a", off=slow)
    (tmp_path / "a").write_text("on\n")
    killed = start(BOOT, str(path), "a", str(tmp_path / "reports"))
    try:
        until("the off", (tmp_path / "asked").exists)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        (tmp_path / "go").touch()
        until("the last will", lambda: "off" in history(tmp_path, "a"))
        with Lab(load(path), run(tmp_path), wait=60) as lab:
            assert lab.board("a").boot("power").verdict == "passed"
        assert history(tmp_path, "a")[-1] == "off"
    finally:
        end(killed)


def test_a_switch_that_does_not_obey_at_the_end_leaves_the_board_to_the_next(tmp_path: Path) -> None:
    path = write_lab(tmp_path, "a", off=f"test -e {tmp_path}/works && echo off >> {tmp_path}/a")
    first = Lab(load(path), run(tmp_path), wait=0)
    first.board("a").boot("power")
    with pytest.raises(InfraError, match="refused to switch off"):
        first.close()
    again = Lab(load(path), run(tmp_path), wait=0)
    busy = again.board("a").boot("power")
    assert "which could not bring it in order" in busy.record.notes[0]
    assert "its power could not be brought to the policy's state" in busy.record.notes[0]
    (tmp_path / "works").touch()
    again.close()
    (tmp_path / "a").write_text("on\n")
    first = Lab(load(path), run(tmp_path), wait=0)
    first.board("a").boot("power")
    (tmp_path / "works").unlink()
    with pytest.raises(InfraError, match="refused to switch off"):
        first.close()
    (tmp_path / "works").touch()
    said: list[str] = []
    with Lab(load(path), run(tmp_path), progress=said.append):
        pass
    assert history(tmp_path, "a")[-1] == "off"
    assert "its power was on and was switched off" in said[0]


def test_what_was_taken_from_us_is_not_switched(tmp_path: Path) -> None:
    path = write_lab(tmp_path, "a")
    lab = Lab(load(path), run(tmp_path), wait=0)
    board = lab.board("a")
    board.boot("power")
    (tmp_path / "locks/e45f01090200.lease").unlink()  # as taking it over does
    lab._lending.leases._held["a"]._last = 0.0
    again = board.boot("power")
    assert again.verdict == "infra"
    assert "a was taken from this run" in again.record.reason
    lab.close()
    assert history(tmp_path, "a") == ["off", "on"]


def test_a_board_that_cannot_be_put_in_order_does_not_keep_others_from_their_run(tmp_path: Path) -> None:
    path = write_lab(tmp_path, "a", "b", off="exit 1")
    text = path.read_text()
    first = Lab(load(path), run(tmp_path), wait=0)
    first.board("a").boot("power")
    with pytest.raises(InfraError, match="refused to switch off"):
        first.close()
    # Its switch has gone altogether now; the other board has nothing to do with that.
    path.write_text(text.replace("on: [sh,", "on: [/nowhere,").replace("command: [tail,", "command: [/nowhere,", 1))
    said: list[str] = []
    with Lab(load(path), run(tmp_path), names=["b"], progress=said.append):
        pass
    assert "its power could not be brought to the policy's state: /nowhere cannot be run" in said[0]
    path.write_text(text.replace("exit 1", f"echo off >> {tmp_path}/a"))
    with Lab(load(path), run(tmp_path), names=["b"], progress=said.append):
        pass
    assert "its power was on and was switched off" in said[1]
    assert history(tmp_path, "a")[-1] == "off"
