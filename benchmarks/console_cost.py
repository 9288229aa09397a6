# SPDX-License-Identifier: GPL-2.0-or-later
"""What a console costs: CPU share of the reader, and how far a line's time is from when its first octet was written.

    python benchmarks/console_cost.py [--seconds 10] [--consoles 1] [--rate 11520] [--idle]

A process of its own writes kernel-like lines to a pty at 115200 baud (11.5 kB/s without a pause: more than any boot prints), in
chunks of 16 octets as a UART's FIFO gives them. Aims: 1 % of a core per console, 20 ms.
"""

import argparse
import contextlib
import multiprocessing
import os
import pty
import statistics
import sys
import tempfile
import time
import tty
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.console.lines import Line
from harness.console.log import ConsoleLog

FULL_RATE = 11_520
FIFO = 16


def write(masters: list[int], seconds: float, rate: float) -> None:
    """Lines at full speed on all of `masters`, `rate` octets per second on the average; each says when it was begun."""
    with contextlib.suppress(OSError):
        os.nice(-20)  # the reader is measured, not how late this process comes to write
    start = due = time.monotonic()
    number = 0
    while due - start < seconds:
        pause(due)
        line = f"[{due:12.6f}] usb 1-1.{number % 9}: new high-speed device, written {time.time():.6f}\r\n".encode()
        begun = time.monotonic()
        for at in range(0, len(line), FIFO):
            pause(begun + at / FULL_RATE)
            for master in masters:
                os.write(master, line[at : at + FIFO])
        number += 1
        due += len(line) / rate


def pause(until: float) -> None:
    if (left := until - time.monotonic()) > 0:
        time.sleep(left)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--consoles", type=int, default=1)
    options.add_argument(
        "--rate", type=float, default=FULL_RATE, help="octets/s; a Debian boot prints 1000 on the average"
    )
    options.add_argument("--idle", action="store_true", help="nothing is written: what does waiting cost")
    chosen = options.parse_args()

    errors: list[float] = []

    def on_line(line: Line) -> None:
        if "written " in line.text:
            errors.append(line.t - float(line.text.rsplit(" ", 1)[1]))

    pairs = [pty.openpty() for _ in range(chosen.consoles)]
    for master, _ in pairs:
        tty.setraw(master)
    with tempfile.TemporaryDirectory() as folder:
        logs = []
        for number, (_, slave) in enumerate(pairs):
            place = Path(folder) / str(number)
            place.mkdir()
            logs.append(ConsoleLog(os.ttyname(slave), place, on_line=on_line).start())
        masters = [] if chosen.idle else [master for master, _ in pairs]
        writer = multiprocessing.get_context("fork").Process(target=write, args=(masters, chosen.seconds, chosen.rate))
        wall, cpu = time.monotonic(), time.process_time()
        writer.start()
        writer.join()
        share = (time.process_time() - cpu) / (time.monotonic() - wall)
        for log in logs:
            log.close()
        octets = sum(log.info().bytes for log in logs)
    rate = octets / chosen.seconds / chosen.consoles
    print(
        f"{chosen.consoles} console(s), {rate:.0f} octets/s each: {100 * share / chosen.consoles:.2f} % of a core per console"
    )
    if errors:
        errors.sort()
        mid, late = statistics.median(errors), errors[int(0.99 * len(errors))]
        figures = f"median {1e3 * mid:.2f} ms, p99 {1e3 * late:.2f} ms, most {1e3 * errors[-1]:.2f} ms"
        print(f"error of a line's time: {figures} ({len(errors)} lines)")


if __name__ == "__main__":
    main()
