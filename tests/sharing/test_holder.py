# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has a board, as its lease's file says it: whether that process lives, and nothing of a stranger's bytes is trusted."""

import json
import os
import subprocess
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sharing.holder import STALE, Holder


def test_what_is_written_is_read_back() -> None:
    me = Holder.myself("pi4-a", what="pytest -m pi4", run="/srv/reports/night")
    assert Holder.read(me.text()) == me
    assert me.pid == os.getpid()
    assert me.gone is False
    assert not me.stale
    assert f"process {os.getpid()}: pytest -m pi4, run /srv/reports/night" in me.words


def test_a_process_that_is_not_there_is_gone() -> None:
    me = Holder.myself("pi4-a")
    assert replace(me, pid=2**22 + 1).gone is True
    assert replace(me, started=me.started - 1).gone is True, "another process has the number now"
    assert replace(me, boot_id="another").gone is True, "the machine was started anew"


def test_a_zombie_is_gone() -> None:
    with subprocess.Popen(["true"]) as process:
        stat = Path(f"/proc/{process.pid}/stat")
        deadline = time.monotonic() + 30
        while ") Z " not in stat.read_text(encoding="utf-8"):
            assert time.monotonic() < deadline
        started = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        assert replace(Holder.myself("a"), pid=process.pid, started=started).gone is True


def test_elsewhere_only_its_signs_of_life_tell() -> None:
    me = Holder.myself("pi4-a")
    for other in (replace(me, host="elsewhere", pid=1), replace(me, pid_space="pid:[1]", pid=2**22 + 1)):
        assert other.gone is None
        assert not other.stale
        assert replace(other, heartbeat=time.time() - STALE - 1).stale
        assert replace(other, heartbeat=time.time() + STALE + 10).stale, "a sign from the future is none"


@pytest.mark.parametrize(
    "change",
    [
        {"pid": "1"},
        {"pid": True},
        {"pid": 1e300},
        {"heartbeat": float("nan")},
        {"heartbeat": None},
        {"since": float("inf")},
        {"user": 5},
        {"run": ["/etc"]},
    ],
)
def test_what_is_no_holder_names_none(change: dict[str, object]) -> None:
    row = asdict(Holder.myself("pi4-a")) | change
    assert Holder.read(json.dumps(row).encode()) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    assert Holder.read(data) is None


@given(st.text(max_size=50), st.floats(allow_nan=False, min_value=-1e11, max_value=1e11))
def test_words_are_safe_for_a_terminal(text: str, t: float) -> None:
    holder = replace(Holder.myself("a"), user=text, what=text, run=text, host=text, since=t)
    assert holder.words.isprintable()
