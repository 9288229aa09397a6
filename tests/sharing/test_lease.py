# SPDX-License-Identifier: GPL-2.0-or-later
"""One board, one process: free at once when its holder is killed, taken over from one that gives no sign of life."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.sharing import lease as lease_module
from harness.sharing.folder import LeaseFolder
from harness.sharing.holder import Holder
from harness.sharing.lease import Lease, Locks
from harness.sharing.leases import Leases

#: A process that takes the board and then sleeps; with "fork" its child keeps the lock when it is killed.
PROGRAM = """
import os, sys, time
from pathlib import Path
from harness.sharing.folder import LeaseFolder
from harness.sharing.leases import Leases
from harness.sharing.lease import Locks
leases = Leases(Locks(LeaseFolder(Path(sys.argv[1]))), {"pi4-a": "key"}, wait=0, what="a test", run="/some/run")
leases.take("pi4-a")
child = os.fork() if sys.argv[2] == "fork" else 1
if child:
    print(child, flush=True)
time.sleep(120)
"""


@contextmanager
def other(folder: Path, manner: str = "") -> "Iterator[tuple[subprocess.Popen[str], int]]":
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), manner], stdout=subprocess.PIPE, text=True)
    child = 0
    try:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        yield process, child
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        if child > 1:
            os.kill(child, signal.SIGKILL)


@pytest.fixture(autouse=True)
def _signs_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a test may last longer than a beat: the signs of life of this process are given by the tests."""
    monkeypatch.setattr("harness.sharing.leases.BEAT", 3600.0)


def locks(folder: Path) -> Locks:
    return Locks(LeaseFolder(folder))


def mine(folder: Path, wait: float = 0.0) -> Leases:
    return Leases(locks(folder), {"pi4-a": "key"}, wait=wait)


def test_one_at_a_time_and_the_error_says_who(tmp_path: Path) -> None:
    first, second = mine(tmp_path), mine(tmp_path)
    assert first.take("pi4-a") is not None
    assert first.take("pi4-a") is None, "it is ours already"
    with pytest.raises(InfraError, match=rf"pi4-a is in use by .*@.* since .*process {os.getpid()}") as caught:
        second.take("pi4-a")
    assert "--wait" in caught.value.remedy
    assert "piboot lab" in caught.value.remedy
    first.give_back("pi4-a")
    taken = second.take("pi4-a")
    assert taken is not None
    assert taken.previous is None
    second.close()
    assert locks(tmp_path).look("key") == ("free", None)


def test_the_wait_ends_with_the_release_and_is_told(tmp_path: Path) -> None:
    first, second = mine(tmp_path), mine(tmp_path, wait=60)
    first.take("pi4-a")
    told: list[str] = []
    has = threading.Event()

    def wait() -> None:
        second.take("pi4-a", told.append)
        has.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not has.wait(0.1)
    first.give_back("pi4-a")
    thread.join(30)
    assert has.is_set()
    assert len(told) == 1
    assert "it is in use by" in told[0]
    second.close()


def test_a_board_is_seen_from_outside_without_being_taken(tmp_path: Path) -> None:
    assert locks(tmp_path / "nowhere").look("key") == ("free", None)
    assert not (tmp_path / "nowhere").exists()
    leases = mine(tmp_path)
    leases.take("pi4-a")
    state, holder = locks(tmp_path).look("key")
    assert state == "held"
    assert holder is not None
    assert holder.pid == os.getpid()
    leases.leave("pi4-a")
    state, holder = locks(tmp_path).look("key")
    assert state == "left"


def test_garbage_in_the_file_is_no_holder(tmp_path: Path) -> None:
    (tmp_path / "key.lease").write_bytes(b'\xff{"freed": 1e400}' * 4000)
    taken = locks(tmp_path).take("key", Holder.myself("a"))
    assert isinstance(taken, Lease)
    assert taken.previous is None
    taken.give_back()


@pytest.mark.gear
def test_a_killed_holder_frees_the_board_at_once_and_the_next_is_told(tmp_path: Path) -> None:
    leases = mine(tmp_path)
    with other(tmp_path) as (process, _):
        with pytest.raises(InfraError, match=f"process {process.pid}: a test, run /some/run"):
            leases.take("pi4-a")
        process.kill()
        process.wait()
        taken = leases.take("pi4-a")
    assert taken is not None
    assert taken.previous is not None
    assert taken.previous.pid == process.pid
    assert taken.previous.gone
    leases.close()


@pytest.mark.gear
def test_a_stopped_holder_loses_the_board_and_learns_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process stands for one that was stopped; that its own lease says so when it goes on is tested below."""
    monkeypatch.setattr(lease_module, "BEAT", 0.05)
    monkeypatch.setattr("harness.sharing.holder.STALE", 0.5)
    with other(tmp_path) as (process, _):
        os.kill(process.pid, signal.SIGSTOP)
        leases = mine(tmp_path, wait=60)
        taken = leases.take("pi4-a")
        assert taken is not None
        assert taken.previous is not None
        assert taken.previous.gone is False
        assert taken.previous.silent > 0.5
    state, holder = locks(tmp_path).look("key")
    assert state == "held"
    assert holder is not None
    assert holder.pid == os.getpid()
    leases.close()


def test_who_lost_the_board_learns_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = mine(tmp_path)
    first.take("pi4-a")
    lease = first._held["pi4-a"]
    lease.holder = replace(lease.holder, heartbeat=time.time() - 3600)
    lease_module._write(lease._fd, lease.holder.text())
    monkeypatch.setattr(lease_module, "BEAT", 0.05)
    second = mine(tmp_path, wait=60)
    taken = second.take("pi4-a")
    assert taken is not None
    assert taken.previous == lease.holder
    monkeypatch.setattr(lease, "_last", 0.0)
    with pytest.raises(InfraError, match="pi4-a was taken from this run, which gave no sign of life for too long"):
        first.check("pi4-a")
    assert not first.has("pi4-a")
    with pytest.raises(InfraError, match="was taken from this run"):
        first.check("pi4-a")
    first.give_back("pi4-a")
    first.close()
    assert locks(tmp_path).look("key")[0] == "held", "what was lost cannot be given back"
    second.close()


def test_who_has_a_board_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.sharing.leases.BEAT", 0.01)
    leases = mine(tmp_path)
    leases.take("pi4-a")
    seen = set()
    deadline = time.monotonic() + 60
    while len(seen) < 3:
        _, holder = locks(tmp_path).look("key")
        assert holder is not None
        seen.add(holder.heartbeat)
        assert time.monotonic() < deadline
        time.sleep(0.01)
    leases.close()


def test_one_beat_in_time_keeps_the_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that was suspended finds old signs on all leases: none is taken over before its holder had time to speak."""
    first = mine(tmp_path)
    first.take("pi4-a")
    lease = first._held["pi4-a"]
    lease_module._write(lease._fd, replace(lease.holder, heartbeat=time.time() - 3600).text())
    challenger = locks(tmp_path)
    assert isinstance(challenger.take("key", Holder.myself("a")), Holder)
    assert lease.beat() is None
    monkeypatch.setattr(lease_module, "BEAT", 0.0)
    assert isinstance(challenger.take("key", Holder.myself("a")), Holder)
    assert isinstance(challenger.take("key", Holder.myself("a")), Holder)
    first.close()


@pytest.mark.gear
def test_a_child_that_keeps_a_dead_holder_s_lock_keeps_the_board_from_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "BEAT", 0.05)
    with other(tmp_path, "fork") as (process, child):
        process.kill()
        process.wait()
        assert Path(f"/proc/{child}").exists()
        leases = mine(tmp_path, wait=60)
        taken = leases.take("pi4-a")
        assert taken is not None
        assert taken.previous is not None
        assert taken.previous.gone
        leases.close()


def test_many_threads_and_only_one_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(5):
                leases = mine(tmp_path, wait=60)
                leases.take("pi4-a")
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)
                leases.close()
        except BaseException as error:  # the test's thread must tell
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    monkey = pytest.MonkeyPatch()
    monkey.setattr("harness.sharing.leases._LOOK", 0.002)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    monkey.undo()
    assert errors == []
    assert len(most) == 20
    assert max(most) == 1


def test_a_gate_that_stays_closed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "_GATE", 0.05)
    first, second = locks(tmp_path), locks(tmp_path)
    with first.gate("key"), pytest.raises(InfraError, match="keeps the lab's locks closed") as caught:
        second.take("key", Holder.myself("a"))
    assert "fuser" in caught.value.remedy


def test_a_lease_s_file_that_was_removed_is_a_lost_lease(tmp_path: Path) -> None:
    leases = mine(tmp_path)
    leases.take("pi4-a")
    (tmp_path / "key.lease").unlink()
    thief = leases._held["pi4-a"].beat()
    assert thief is not None
    assert thief.user == "nobody"
    leases.close()


def test_two_that_wait_for_each_other_do_not_wait_for_ever(tmp_path: Path) -> None:
    """The other process is a file here: it has b, and waits for a, which is ours."""
    keys = {"a": "key-a", "b": "key-b"}
    ours = Leases(locks(tmp_path), keys, wait=60)
    ours.take("a")
    other = locks(tmp_path).take("key-b", replace(Holder.myself("b"), pid=1, waits="key-a"))
    assert isinstance(other, Lease)
    with pytest.raises(
        InfraError, match=r"b would be waited for for ever: .*, and waits for a, which this run has"
    ) as caught:
        ours.take("b")
    assert "in the same order" in caught.value.remedy
    assert ours._held["a"].holder.waits == ""
    # Of two, only one gives up: that with the higher number.
    other.update(waits="key-a")
    other.holder = replace(other.holder, pid=2**22 + 1)
    patient = Leases(locks(tmp_path), keys, wait=0.1)
    patient._held["a"] = ours._held["a"]
    other.beat()
    with pytest.raises(InfraError, match="b is in use by"):
        patient.take("b")
    other.give_back()
    ours.close()
