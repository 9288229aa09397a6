# SPDX-License-Identifier: GPL-2.0-or-later
"""What boards that run at once take of memory: the harness, its servers, the emulators, the virtual machines.

Boots them side by side, and adds up the proportional set sizes (Pss of smaps_rollup, proc(5): shared pages count once) of this
process and all below it, twice a second, from before the rig starts until all have logged in. Prints the greatest sum and what it
is made of. Needs root.

    sudo .venv/bin/python benchmarks/memory.py [--root light|debian] [--topology NAME] [--boards 4]
"""

import argparse
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.commands.boot import adapted
from harness.config import loads
from harness.lab import Lab
from harness.run import Run
from harness.servers.topologies import TOPOLOGIES

HEAD = """
version: 1
name: memory
emulation: {speed: 20, guests: NUMBER}
wires: {bench: {kind: emulated}}
servers: {netboot: {kind: emulated}}
boards:
"""
BOARD = """
  board-%(number)d:
    model: pi4
    serial_number: "91cdf0%(number)02x"
    mac: "e4:5f:01:09:02:%(number)02x"
    wire: bench
    server: netboot
    power: {driver: emulated}
    console: {driver: emulated}
    login: {user: root}
"""


def descendants() -> list[int]:
    """This process and all below it."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = frontier = {int(Path("/proc/self").readlink().name)}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier} - found
        found = found | frontier
    return sorted(found)


def pss() -> dict[str, int]:
    """Kibibytes by program."""
    sums: dict[str, int] = {}
    for pid in descendants():
        try:
            words = Path(f"/proc/{pid}/smaps_rollup").read_text()
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue
        line = next((line for line in words.splitlines() if line.startswith("Pss:")), "Pss: 0")
        sums[name] = sums.get(name, 0) + int(line.split()[1])
    return sums


class Peak(threading.Thread):
    """Looks until it is told to end; `most`: the greatest sum that it saw, by program."""

    def __init__(self) -> None:
        super().__init__()
        self.most: dict[str, int] = {}
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            now = pss()
            if sum(now.values()) > sum(self.most.values()):
                self.most = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default="light", choices=["light", "debian"])
    parser.add_argument("--topology", default="dnsmasq-nfs", choices=sorted(TOPOLOGIES))
    parser.add_argument("--boards", type=int, default=4)
    options = parser.parse_args()
    text = HEAD.replace("NUMBER", str(options.boards))
    text += "".join(BOARD % {"number": number} for number in range(options.boards))
    peak = Peak()
    peak.start()
    try:
        with tempfile.TemporaryDirectory(prefix="piboot-bench-") as name:
            run = Run.create(Path(name), lab="memory")
            with Lab(adapted(loads(text), speed=None, root=options.root, topology=options.topology), run) as lab:
                boards = [lab.board(name) for name in lab.boards]
                with ThreadPoolExecutor(len(boards)) as pool:
                    boots = list(pool.map(lambda board: board.boot(), boards))
                for boot in boots:
                    if not boot.passed:
                        raise SystemExit(f"a boot failed: {boot.record.reason}")
    finally:
        peak.over.set()
        peak.join()
    parts = ", ".join(
        f"{name} {size / 1024:.0f}" for name, size in sorted(peak.most.items(), key=lambda item: -item[1])[:8]
    )
    total = sum(peak.most.values()) / 1024
    print(f"{options.topology}, {options.root}, {options.boards} at once: {total:.0f} MiB at most ({parts})")


if __name__ == "__main__":
    main()
