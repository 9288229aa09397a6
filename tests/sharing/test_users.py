# SPDX-License-Identifier: GPL-2.0-or-later
"""Two users of one host, one lab: root and an ordinary one share boards through files that either has made."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .labs import ROOT, end, line

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it becomes another user"),
]
NOBODY = 65534

#: Becomes another user once all is imported (root's Python may lie where nobody else may look), takes the board, says what came
#: of it, and gives it back when it is told so.
PROGRAM = """
import os, sys
from pathlib import Path
from harness.errors import InfraError
from harness.sharing import lease as module
from harness.sharing import holder
from harness.sharing.folder import LeaseFolder
from harness.sharing.lease import Locks
from harness.sharing.leases import Leases
folder, user, wait, stale = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
holder.Holder.myself("warm", what="up")
os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)
if stale:
    module.BEAT, holder.STALE = 0.05, stale
leases = Leases(Locks(LeaseFolder(folder)), {"pi4-a": "key"}, wait=wait, what="a test")
try:
    taken = leases.take("pi4-a")
    print("taken", "after " + taken.previous.user if taken.previous else "", flush=True)
except InfraError as error:
    print(str(error).replace(chr(10), " "), flush=True)
sys.stdin.readline()
leases.close()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where both may go; the locks' folder in it is made by whoever comes first."""
    path = Path(tempfile.mkdtemp(prefix="piboot-test-", dir="/tmp"))
    path.chmod(0o1777)
    yield path / "locks"
    shutil.rmtree(path)


def user(folder: Path, uid: int, *, wait: float = 0.0, stale: float = 0.0) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(uid), str(wait), str(stale)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def leave(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 0


@pytest.mark.parametrize("first", [0, NOBODY])
def test_either_meets_the_other(folder: Path, first: int) -> None:
    second = NOBODY - first
    one = user(folder, first)
    others = []
    try:
        assert line(one) == "taken"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
        assert folder.stat().st_uid == first
        others.append(user(folder, second))
        told = line(others[-1])
        assert f"pi4-a is in use by {'root' if not first else 'nobody'}@" in told
        assert f"process {one.pid}" in told
        leave(one)
        others.append(user(folder, second))
        assert line(others[-1]) == "taken", "in the file that the first has made"
        others[-1].kill()
        others[-1].wait()
        others.append(user(folder, first))
        assert line(others[-1]) == f"taken after {'nobody' if not first else 'root'}"
        leave(others[-1])
    finally:
        end(one, *others)


def test_a_stopped_run_of_root_s_is_taken_over_by_root_only(folder: Path) -> None:
    one = user(folder, 0)
    others = []
    try:
        assert line(one) == "taken"
        os.kill(one.pid, signal.SIGSTOP)
        others.append(user(folder, NOBODY, wait=60, stale=0.5))
        told = line(others[-1])
        assert "which gave no sign of life for" in told
        assert "and only its user or root may take it away" in told
        assert "sudo piboot lab release pi4-a" in told
        others.append(user(folder, 0, wait=60, stale=0.5))
        assert line(others[-1]) == "taken after root"
    finally:
        end(one, *others)
