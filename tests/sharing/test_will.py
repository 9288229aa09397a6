# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's last will: carried out when the run ends without a word, and only then; and nothing of it stays."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from harness.sharing.will import LOG, Will, release

from .labs import end, line, start, until

pytestmark = pytest.mark.gear

#: Arms for a and b, disarms b, and waits to be killed.
PROGRAM = """
import sys, time
from pathlib import Path
from harness.sharing.will import Will
folder = Path(sys.argv[1])
will = Will(folder)
for name in ("a", "b"):
    will.arm(name, ["sh", "-c", f"echo {name} was here; touch {folder}/{name}"])
will.disarm("b")
print(will.pid, flush=True)
time.sleep(120)
"""


def gone(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return True


def ignores(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    mask = next(row.split()[1] for row in status.splitlines() if row.startswith("SigIgn:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_is_armed_is_done_when_the_run_ends_without_a_word(tmp_path: Path, number: signal.Signals) -> None:
    run = start(PROGRAM, str(tmp_path))
    try:
        will = int(line(run))
        until("its start", lambda: ignores(will, signal.SIGHUP))
        os.kill(will, signal.SIGINT)  # Ctrl-C and a closed terminal are for the run
        os.kill(will, signal.SIGHUP)
        run.send_signal(number)
        run.wait(60)
        until("the will", (tmp_path / "a").exists)
        until("its end", lambda: gone(will))
    finally:
        end(run)
    assert not (tmp_path / "b").exists()
    assert "a was here" in (tmp_path / LOG).read_text()


def test_a_run_that_ends_well_leaves_nothing(tmp_path: Path) -> None:
    will = Will(tmp_path)
    will.arm("a", ["touch", str(tmp_path / "a")])
    pid = will.pid
    assert pid
    will.close()
    will.close()
    assert gone(pid)
    time.sleep(0.1)
    assert list(tmp_path.iterdir()) == []


def test_a_will_whose_executor_was_killed_is_no_trouble(tmp_path: Path) -> None:
    will = Will(tmp_path)
    will.arm("a", ["true"])
    os.kill(will.pid, signal.SIGKILL)
    until("its end", lambda: gone(will.pid))
    will.arm("b", ["true"])
    will.disarm("a")
    will.close()


def test_the_command_finds_the_harness_wherever_it_is_run(tmp_path: Path) -> None:
    assert release("a", "lab.yaml")[:4] == [sys.executable, "-P", "-m", "harness.cli"]
    assert release("a", "lab.yaml")[-1] == str(Path("lab.yaml").resolve())
