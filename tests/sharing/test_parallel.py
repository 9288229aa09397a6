# SPDX-License-Identifier: GPL-2.0-or-later
"""Two pytest runs with two workers each, at once, on one lab: every board is one run's at a time, and all tests pass."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .labs import ROOT, history, write_lab

pytestmark = pytest.mark.gear

TESTS = """
import os, time
from pathlib import Path
import pytest

@pytest.mark.parametrize("again", range(2))
def test_it(board, lab, again):
    name = board.name
    boot = board.boot(until="power")
    assert boot.verdict == "passed", boot.record.reason
    mine = Path(os.environ["INSIDE"]) / name
    fd = os.open(mine, os.O_CREAT | os.O_EXCL)  # fails when another run is in here, too
    try:
        time.sleep(0.2)
    finally:
        os.close(fd)
        mine.unlink()
"""


def test_two_runs_with_workers(tmp_path: Path) -> None:
    write_lab(tmp_path, "a", "b")
    (tmp_path / "inside").mkdir()
    (tmp_path / "test_boards.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:hypothesispytest -p no:cacheprovider\n")
    environment = {
        **os.environ,
        "PIBOOT_LOCKS": str(tmp_path / "locks"),
        "INSIDE": str(tmp_path / "inside"),
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("PYTEST_ADDOPTS", None)
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "-n", "2", *options, "--reports", f"reports-{number}", "--wait=300"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number, options in enumerate((["--dist", "loadgroup"], []))
    ]
    try:
        said = [run.communicate(timeout=300)[0] for run in runs]
    finally:
        for run in runs:
            run.kill()
            run.wait()
    for run, text in zip(runs, said, strict=True):
        assert run.returncode == 0, text
        assert "4 passed" in text
    for name in ("a", "b"):
        told = history(tmp_path, name)
        assert told.count("on") == 4
        assert told[-1] == "off", "each run left it as the policy says"
