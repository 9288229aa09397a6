# SPDX-License-Identifier: GPL-2.0-or-later
"""How long each emulated model takes to its kernel's hand-over beyond what its files take: `benchmarks/model_boots.py`.

Needs root, and the emulated lab's programs and light images. Device delays are divided by 100; waits of the protocols are real,
so a 2B or 3B has the second that its server waits for its boot ROM on top. Exit code 1 when a model takes 3 s or more.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.boot.record import BootRecord
from harness.config import loads
from harness.lab import Lab
from harness.models import MODELS
from harness.run import Run

_TARGET = 3.0
_HEAD = """
version: 1
name: models
emulation: {speed: 100}
wires: {bench: {kind: emulated}}
servers: {netboot: {kind: emulated, root: light}}
boards:
"""
_BOARD = """
  {name}:
    model: {name}
    serial_number: "0000beef"
    mac: "{vendor}:00:be:ef"
    wire: bench
    server: netboot
    power: {{driver: emulated}}
    console: {{driver: emulated}}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", action="append", choices=sorted(MODELS), help="this one, not all; as often as needed"
    )
    chosen = parser.parse_args().model or list(MODELS)
    if os.geteuid() != 0:
        print("needs root (network namespaces with a bridge and a tap)", file=sys.stderr)
        return 3
    worst = 0.0
    for name in chosen:
        whole, files, octets = _boot(name)
        worst = max(worst, whole - files)
        told = f"{whole:6.2f} s to the hand-over, {files:6.2f} s of them {octets / 1e6:.1f} MB of files"
        print(f"{name:10s} {told}: {whole - files:5.2f} s beyond", flush=True)
    return 0 if worst < _TARGET else 1


def _boot(name: str) -> tuple[float, float, int]:
    """(seconds from power-on to the last file, seconds in which a file was on its way, octets)."""
    vendor = "b8:27:eb" if MODELS[name].bootloader == "rom" else "dc:a6:32"
    text = _HEAD + _BOARD.format(name=name, vendor=vendor)
    with tempfile.TemporaryDirectory(prefix="piboot-bench-") as folder:
        with Lab(loads(text), Run.create(Path(folder) / "reports", lab="models")) as lab:
            record = lab.board(name).boot(until="firmware").record
        return _times(record)


def _times(record: BootRecord) -> tuple[float, float, int]:
    start, end = record.stage("power").start, record.stage("firmware").end
    if start is None or end is None or not record.passed:
        raise RuntimeError(f"{record.board}: {record.verdict}: {record.reason}")
    return end - start, sum(one.duration_s for one in record.tftp), sum(one.bytes for one in record.tftp)


if __name__ == "__main__":
    sys.exit(main())
