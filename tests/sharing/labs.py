# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab of real boards whose power is a file: `driver: command`, no console, no wire."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]

BOARD = """
  {name}:
    model: pi4
    serial_number: "91cdf0{number:02d}"
    mac: "e4:5f:01:09:02:{number:02d}"
    power:
      driver: command
      on: [sh, -c, "echo on >> {folder}/{name}"]
      off: [sh, -c, "{off}"]
      read_back: {{command: [tail, -n, "1", "{folder}/{name}"], on: {{output: "^on$"}}, off: {{output: "^off$"}}}}
"""


def write_lab(folder: Path, *names: str, policy: str = "{after_run: off}", off: str = "") -> Path:
    """lab.yaml in `folder`, whose boards are off. off: a shell line instead of the one that switches off."""
    parts = [f"version: 1\nname: files\npolicy: {policy}\nboards:"]
    for number, name in enumerate(names):
        (folder / name).write_text("off\n")
        line = off or f"echo off >> {folder}/{name}"
        parts.append(BOARD.format(name=name, number=number, folder=folder, off=line))
    path = folder / "lab.yaml"
    path.write_text("".join(parts))
    return path


def history(folder: Path, name: str) -> list[str]:
    """What the board's power port was told, from the first off that was there."""
    return (folder / name).read_text().split()


def piboot(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def start(program: str, *arguments: str, environment: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """A Python program with the harness at hand; its output is one line per thing done."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
    )


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def until(what: str, is_so: "Sequence[object] | object", seconds: float = 60.0) -> None:
    """Wait for a condition, a function."""
    assert callable(is_so)
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.02)
