# SPDX-License-Identifier: GPL-2.0-or-later
"""Executes a run's last will (see will.py): `python -I -S executor.py LOG`, with JSON lines on stdin.

{"board": NAME, "argv": [...]} arms, {"board": NAME} disarms; when stdin ends, what is armed is run, at most LIMIT seconds. Only
the standard library: it has to be up in an instant, and to live on when everything else is gone.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

#: Seconds for all commands together; they have deadlines of their own.
LIMIT = 120.0


def main(log: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    armed: dict[str, list[str]] = {}
    for line in sys.stdin.buffer:
        with contextlib.suppress(ValueError, KeyError):  # a line that was cut off by the end
            told = json.loads(line)
            if told.get("argv"):
                armed[told["board"]] = told["argv"]
            else:
                armed.pop(told["board"], None)
    if armed:
        execute(list(armed.values()), log)


def execute(commands: list[list[str]], log: str) -> None:
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:
        output = os.open(os.devnull, os.O_WRONLY)
    os.write(output, time.strftime("%Y-%m-%d %H:%M:%S the run ended without giving its boards back\n").encode())
    running = []
    for argv in commands:
        with contextlib.suppress(OSError):
            running.append(
                subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
            )
    deadline = time.monotonic() + LIMIT
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    main(sys.argv[1])
