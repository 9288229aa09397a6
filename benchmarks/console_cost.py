# SPDX-License-Identifier: GPL-2.0-or-later
"""What a console costs: CPU share of its reader, and how far a line's time is from when its first octet was written.

    python benchmarks/console_cost.py [--seconds 10] [--consoles 1] [--rate 11520] [--idle] [--busy 0] [--threads 0]

A process of its own writes kernel-like lines to a pty at 115200 baud (11.5 kB/s without a pause: more than any boot prints), in
chunks of 16 octets as a UART's FIFO gives them. --busy: processes that compute all the time, as QEMU does beside a console;
--threads: threads of the reader's own process that do, as the decoding of a capture does. Ends with 1 when a target is missed.
"""

import argparse
import contextlib
import multiprocessing
import os
import pty
import re
import statistics
import sys
import tempfile
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, os.environ.get("PIBOOT_TREE") or str(Path(__file__).parents[1]))

from harness.console.files import LOG, TIMES, Chunk, read_back
from harness.console.lines import LineSplitter
from harness.console.log import ConsoleLog

FULL_RATE = 11_520
FIFO = 16
WRITTEN = re.compile(r"written (\d+\.\d{6})$")
#: Percent of a core per console, and seconds by which a line's time may be wrong.
MOST_CPU, MOST_ERROR = 1.0, 0.020


def write(masters: list[int], seconds: float, rate: float) -> None:
    """Lines at full speed on all of `masters`, `rate` octets per second on the average; each says when it was begun."""
    with contextlib.suppress(OSError):  # the reader is measured, not how late this process comes to write
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
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


def compute(seconds: float) -> None:
    """Busy, in short steps of Python; ends by itself."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(100))


@contextmanager
def company(processes: int, threads: int, seconds: float) -> Iterator[None]:
    """Others that compute at the same time."""
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=compute, args=(seconds,), daemon=True) for _ in range(processes)]
    helpers = [threading.Thread(target=compute, args=(seconds,), daemon=True) for _ in range(threads)]
    for other in (*others, *helpers):
        other.start()
    yield
    for process in others:
        process.kill()
        process.join()
    for helper in helpers:
        helper.join()


def cpu_of_readers() -> float:
    """Seconds that the consoles' threads have computed."""
    clocks = [
        time.pthread_getcpuclockid(t.ident) for t in threading.enumerate() if t.name.startswith("console") and t.ident
    ]
    return sum(time.clock_gettime(clock) for clock in clocks)


def errors_of(folder: Path) -> Iterator[float]:
    """Of each line, seconds from when it was written to the time that its log gives it."""
    splitter = LineSplitter()
    for chunk in read_back(folder / LOG, folder / TIMES):
        if isinstance(chunk, Chunk):
            for line in splitter.feed(chunk.t, chunk.data):
                if found := WRITTEN.search(line.text):
                    yield line.t - float(found[1])


def said(value: float, most: float, unit: str) -> str:
    return f"{value:.2f} {unit} (target {most:g}: {'met' if value <= most else 'MISSED'})"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--consoles", type=int, default=1)
    options.add_argument(
        "--rate", type=float, default=FULL_RATE, help="octets/s; a Debian boot prints 1000 on the average"
    )
    options.add_argument("--idle", action="store_true", help="nothing is written: what does waiting cost")
    options.add_argument("--busy", type=int, default=0, help="processes that compute meanwhile")
    options.add_argument(
        "--threads", type=int, default=0, help="threads of the reader's process that compute meanwhile"
    )
    chosen = options.parse_args()

    pairs = [pty.openpty() for _ in range(chosen.consoles)]
    for master, _ in pairs:
        tty.setraw(master)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        logs = []
        for number, (_, slave) in enumerate(pairs):
            place = Path(folder) / str(number)
            place.mkdir()
            logs.append(stack.enter_context(ConsoleLog(os.ttyname(slave), place)))
        masters = [] if chosen.idle else [master for master, _ in pairs]
        writer = multiprocessing.get_context("fork").Process(target=write, args=(masters, chosen.seconds, chosen.rate))
        with company(chosen.busy, chosen.threads, chosen.seconds + 1):
            wall, cpu = time.monotonic(), cpu_of_readers()
            writer.start()
            writer.join()
            share = 100 * (cpu_of_readers() - cpu) / (time.monotonic() - wall) / chosen.consoles
        octets = sum(log.bytes_read for log in logs)
        for log in logs:
            log.close()
        errors = sorted(error for log in logs for error in errors_of(log.folder))
    rate = octets / chosen.seconds / chosen.consoles
    beside = f"{chosen.busy} busy processes and {chosen.threads} busy threads beside it, load {os.getloadavg()[0]:.1f}"
    print(f"{chosen.consoles} console(s), {rate:.0f} octets/s each; {beside}")
    print(f"CPU per console: {said(share, MOST_CPU, '% of a core')}")
    missed = share > MOST_CPU
    if errors:
        sizes = sorted(abs(error) for error in errors)
        mid, late = statistics.median(sizes), sizes[int(0.99 * len(sizes))]
        print(
            f"error of a line's time: median {1e3 * mid:.2f} ms, p99 {said(1e3 * late, 1e3 * MOST_ERROR, 'ms')}, "
            f"from {1e3 * errors[0]:.2f} to {1e3 * errors[-1]:.2f} ms ({len(errors)} lines)"
        )
        missed = missed or late > MOST_ERROR
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
