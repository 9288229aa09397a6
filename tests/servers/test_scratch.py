# SPDX-License-Identifier: GPL-2.0-or-later
"""Scratch directories: what a killed rig left is removed by the next start, and only that."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.servers.scratch import Scratch, sweep
from tests.servers.conftest import open_descriptors

KILLED = """
import os, sys
from pathlib import Path
from harness.servers.scratch import Scratch
scratch = Scratch(Path(sys.argv[1]))
(scratch.path / "tftp").mkdir()
print(scratch.path, scratch.sockets, flush=True)
os.kill(os.getpid(), 9)
"""


def left_by_a_killed_rig(base: Path) -> tuple[Path, Path]:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(base)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    path, sockets = done.stdout.split()
    return Path(path), Path(sockets)


def test_it_is_gone_afterwards(tmp_path: Path) -> None:
    with Scratch(tmp_path / "base") as scratch:
        (scratch.path / "file").write_text("x")
        assert scratch.path.parent == tmp_path / "base"
        assert scratch.path.stat().st_mode & 0o777 == 0o700
        assert scratch.sockets.is_dir()
    assert list((tmp_path / "base").iterdir()) == []
    assert not scratch.sockets.exists()


def test_a_start_removes_what_a_killed_rig_left(tmp_path: Path) -> None:
    path, sockets = left_by_a_killed_rig(tmp_path)
    assert path.is_dir()
    with Scratch(tmp_path) as scratch:
        assert not path.exists()
        assert not sockets.exists()
        assert scratch.path.is_dir()


def test_a_running_rigs_directory_is_left_alone(tmp_path: Path) -> None:
    with Scratch(tmp_path) as running, Scratch(tmp_path) as other:
        assert sweep(tmp_path) == []
        assert running.path.is_dir()
        assert other.path.is_dir()


def test_a_lock_that_a_keeper_still_holds_counts(tmp_path: Path) -> None:
    # The owner was killed, its keeper is just being ended by the kernel: it may still write there.
    path, _ = left_by_a_killed_rig(tmp_path)
    with path.with_suffix(".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert sweep(tmp_path) == []
    assert sweep(tmp_path) == [path.name]


def test_what_is_not_a_rigs_stays(tmp_path: Path) -> None:
    for name in ("rig-without-lock", "else"):
        (tmp_path / name).mkdir()
    (tmp_path / "note.lock").write_text("")
    assert sweep(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["else", "note.lock", "rig-without-lock"]


def test_a_forged_note_of_the_sockets_removes_nothing_else(tmp_path: Path) -> None:
    path, sockets = left_by_a_killed_rig(tmp_path / "base")
    sockets.rmdir()
    precious = tmp_path / "piboot-precious"
    precious.mkdir()
    (path / "sockets").write_text(str(precious))
    assert sweep(tmp_path / "base") == [path.name]
    assert precious.is_dir()


def test_socket_paths_stay_short(tmp_path: Path) -> None:
    with Scratch(tmp_path / ("deep" * 20)) as scratch:
        assert len(str(scratch.sockets / "longest-name.sock")) < 108
        assert scratch.sockets.is_dir()
    assert not scratch.sockets.exists()


def test_the_base_is_for_all_users(tmp_path: Path) -> None:
    with Scratch(tmp_path / "base"):
        assert (tmp_path / "base").stat().st_mode & 0o7777 == 0o1777


def test_a_base_that_cannot_be_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfraError, match="scratch") as caught:
        Scratch(tmp_path / "file" / "base")
    assert "PIBOOT_SCRATCH" in caught.value.remedy


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = open_descriptors()
    with Scratch(tmp_path):
        pass
    sweep(tmp_path)
    assert open_descriptors() == before
