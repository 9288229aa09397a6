# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing of a rig outlives its owner: no process, namespace, mount or interface, however the owner ends; and its scratch
directory only until the next start."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from harness.errors import InfraError
from harness.servers import Keeper, Rig
from harness.servers.scratch import sweep
from tests.servers.conftest import names, needs, open_descriptors

pytestmark = pytest.mark.netns
ROOT = Path(__file__).parents[2]


@dataclass
class Holder:
    """A process that holds a rig, and what was seen of the rig from outside while it ran.

    started: its processes' start times, since a number alone may be given again; space: a descriptor of its PID namespace,
    held open because the kernel gives a dead namespace's number to the next one, of another rig perhaps.
    """

    process: "subprocess.Popen[bytes]"
    facts: dict[str, Any]
    namespaces: set[str]
    started: dict[int, str]
    space: int

    @property
    def scratch(self) -> Path:
        return Path(self.facts["scratch"])

    def left(self) -> dict[int, str]:
        """The command lines of the rig's processes that are there."""
        name = os.readlink(f"/proc/self/fd/{self.space}")  # noqa: PTH115 - it is no path
        inside = {pid for pid in everyone() if name in namespaces_of(pid)}
        seen = {pid for pid, start in self.started.items() if start_time(pid) == start}
        return {pid: words(pid) for pid in inside | seen}


def everyone() -> set[int]:
    return {int(name) for name in names("/proc") if name.isdigit()}


def namespaces_of(pid: int) -> set[str]:
    found = set()
    for kind in ("pid", "net", "mnt"):
        with suppress(OSError):
            found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
    return found


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third, its state, on; empty for a process that is gone (proc_pid_stat(5))."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A dead process that waits for its parent to notice holds nothing any more.
        return [] if fields[0] in "ZX" else fields
    return []


def start_time(pid: int) -> str:
    return "".join(stat(pid)[19:20])


def words(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def descendants(pid: int) -> set[int]:
    parents = {child: int(fields[1]) for child in everyone() if (fields := stat(child))}
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def keeper_of(rig: Rig) -> int:
    """The rig's PID 1, by its number outside: the only child of `unshare`."""
    (keeper,) = (child for child in everyone() if stat(child)[1:2] == [str(rig.keeper.pid)])
    return keeper


def machine() -> tuple[list[str], list[str], list[str]]:
    """What a rig might leave behind outside its namespaces: interfaces, mounts of its kinds, named network namespaces.

    But for the names that other tests give to theirs, side by side with this one; each name is a mount below /run/netns, too.
    """
    named = Path("/run/netns")
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return (
        sorted(names("/sys/class/net")),
        [
            target
            for _, target, kind, *_ in mounts
            if (kind == "overlay" or target.startswith(("/srv", "/run/", "/var/lib/nfs")))
            and not target.startswith("/run/netns")
        ],
        sorted(name for name in names(named) if not name.startswith("piboot-test-")) if named.is_dir() else [],
    )


def await_gone(holder: Holder, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while left := holder.left():
        assert time.monotonic() < deadline, f"still there after {seconds} s: {left}"
        time.sleep(0.01)


@pytest.fixture
def hold(tmp_path: Path, scratch_base: Path) -> Iterator[Callable[..., Holder]]:
    holders: list[Holder] = []

    def start(
        name: str = "held", *, boards: int = 2, errors: IO[bytes] | None = None, also: tuple[str, ...] = ()
    ) -> Holder:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.holder", str(tmp_path / name), str(boards), *also],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
        )
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        family = descendants(facts["keeper"])
        spaces = set().union(*map(namespaces_of, family)) - namespaces_of(os.getpid())
        started = {pid: start for pid in family if (start := start_time(pid))}
        space = os.open(f"/proc/{facts['keeper']}/ns/pid_for_children", os.O_RDONLY)
        holders.append(Holder(process, facts, spaces, started, space))
        return holders[-1]

    yield start
    for holder in holders:
        holder.process.kill()
        holder.process.wait(20)
        for pipe in (holder.process.stdin, holder.process.stdout):
            if pipe is not None:
                pipe.close()
        await_gone(holder)
        os.close(holder.space)
    sweep(scratch_base)


def test_what_is_watched_for_is_there_while_the_rig_runs(hold: Callable[..., Holder]) -> None:
    holder = hold()
    # PID namespace, mount namespace, network namespaces of keeper, server and client
    assert len(holder.namespaces) == 5
    assert len(holder.started) >= 9
    assert holder.facts["services"] == {"dnsmasq": True, "rpcbind": True, "ganesha": True}
    assert len(holder.left()) >= 9
    assert holder.scratch.is_dir()


def test_nothing_is_left_after_sigkill(hold: Callable[..., Holder], tmp_path: Path, scratch_base: Path) -> None:
    before = machine()
    neighbour = hold("neighbour")
    holder = hold()
    assert machine() == before  # not even while it runs
    holder.process.kill()
    await_gone(holder)
    assert machine() == before
    assert holder.scratch.is_dir()  # nobody was left to remove it
    with Rig([], tmp_path / "next"):
        assert not holder.scratch.exists()
        assert not Path(holder.facts["sockets"]).exists()
        assert (neighbour.scratch / "tftp" / "00000000" / "kernel8.img").is_file()
        assert neighbour.left()
    assert sorted(path.name for path in scratch_base.iterdir()) == [
        neighbour.scratch.name,
        f"{neighbour.scratch.name}.lock",
    ]


@pytest.mark.parametrize(
    ("topology", "service"),
    [
        pytest.param("dnsmasq-iscsi", "tgt", marks=needs("dnsmasq-iscsi")),
        pytest.param("ceph-rbd", "ceph-osd", marks=[needs("ceph-rbd"), pytest.mark.slow]),
    ],
)
def test_storage_servers_leave_no_more_than_others(
    hold: Callable[..., Holder], tmp_path: Path, scratch_base: Path, topology: str, service: str
) -> None:
    """tgtd does not end when it is asked to, and has its control socket in /run; Ceph's sockets are there, too."""
    # The machine itself may have these services, and other people's programs come and go in /run.
    before, ours = machine(), {"tgtd", "ceph"} - names("/run")
    holder = hold(also=(f"on={topology}",))
    assert holder.facts["services"][service] is True
    assert machine() == before
    assert not ours & names("/run")
    holder.process.kill()
    await_gone(holder)
    with Rig([], tmp_path / "next"):
        assert not holder.scratch.exists()
    assert machine() == before
    assert not ours & names("/run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_after_an_interrupt(
    hold: Callable[..., Holder], scratch_base: Path, tmp_path: Path, number: int
) -> None:
    before = machine()
    with (tmp_path / "errors").open("wb") as errors:
        holder = hold(errors=errors)
        holder.process.send_signal(number)
        assert holder.process.wait(20) == -number
    # Ctrl-C ends in order, at once and completely; an unhandled SIGTERM is a death like SIGKILL.
    if number == signal.SIGINT:
        assert holder.left() == {}
        assert list(scratch_base.iterdir()) == []
    await_gone(holder)
    assert machine() == before


def test_nothing_is_left_after_an_exception(hold: Callable[..., Holder], scratch_base: Path, tmp_path: Path) -> None:
    with (tmp_path / "errors").open("wb") as errors:
        holder = hold(errors=errors, also=("raise",))
        assert holder.process.stdin is not None
        holder.process.stdin.close()
        assert holder.process.wait(20) == 1
    assert holder.left() == {}
    assert list(scratch_base.iterdir()) == []
    assert b"RuntimeError: as asked" in (tmp_path / "errors").read_bytes()


def test_a_start_that_fails_leaves_nothing(tmp_path: Path, scratch_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, processes = machine(), descendants(os.getpid())

    def interrupted(self: Keeper, *_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Keeper, "wait_up", interrupted)
    with pytest.raises(KeyboardInterrupt), Rig([], tmp_path / "run"):
        pass
    assert machine() == before
    assert descendants(os.getpid()) <= processes
    assert list(scratch_base.iterdir()) == []


def test_a_keeper_that_dies_takes_all_with_it_and_says_so(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig()
    sleeper = rig.spawn("client", ["sleep", "1000"])
    os.kill(keeper_of(rig), signal.SIGKILL)
    assert sleeper.wait(10) == -9
    assert not rig.services["dnsmasq"].running
    with pytest.raises(InfraError, match="keeper died before 'spawn' was done"):
        rig.spawn("client", ["true"])
    with pytest.raises(InfraError, match="keeper died"):
        rig.services["dnsmasq"].restart()


def test_a_call_is_not_waited_for_when_the_keeper_dies_meanwhile(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig()
    keeper = keeper_of(rig)
    timer = threading.Timer(0.3, os.kill, (keeper, signal.SIGKILL))
    timer.start()
    began = time.monotonic()
    with pytest.raises(InfraError, match="keeper died before 'wait_up' was done"):
        rig.keeper.wait_up("client", ["absent"], timeout=30)
    assert time.monotonic() - began < 10
    timer.join()


def test_many_rigs_leave_no_descriptor_or_thread(tmp_path: Path, scratch_base: Path) -> None:
    before = open_descriptors(), threading.active_count()
    for _ in range(3):
        with Rig([], tmp_path / "run") as rig:
            rig.spawn("client", ["true"]).wait(10)
    assert (open_descriptors(), threading.active_count()) == before
