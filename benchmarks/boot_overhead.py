# SPDX-License-Identifier: GPL-2.0-or-later
"""What watching costs: a boot under the harness against bare QEMU with the same kernel, initramfs, command line and root.

Both run in one rig, in turn (A B A B ...): A is `Board.boot()`, timed by its record from the hand-over to the login prompt; B
is the same QEMU command line started by hand on a tap of its own, timed from its start to the same prompt. Prints the
medians and the ratio A/B. Needs root. Machines are noisy: read the ratio, not the seconds.

    sudo .venv/bin/python benchmarks/boot_overhead.py [--root light|debian] [--topology NAME] [--rounds N]
"""

import argparse
import json
import os
import select
import statistics
import tempfile
import time
from pathlib import Path

from harness.config import loads
from harness.config.adapting import adapted
from harness.lab import Lab
from harness.run import Run
from harness.servers import Rig
from harness.servers.topologies import TOPOLOGIES

BOARD = """
    model: pi4
    wire: bench
    server: netboot
    power: {driver: emulated}
    console: {driver: emulated}
"""
LAB = f"""
version: 1
name: benchmark
emulation: {{speed: 50}}
wires: {{bench: {{kind: emulated}}}}
servers: {{netboot: {{kind: emulated}}}}
boards:
  watched:{BOARD}    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
  bare:{BOARD}    serial_number: "91cdf03e"
    mac: "e4:5f:01:09:02:f8"
"""
PROMPT = b"login: "
DEADLINE = 300.0

#: Opens the tap, as QEMU's own fd= option needs it to be open, and becomes QEMU.
WITH_TAP = """
import fcntl, os, struct, sys
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH", sys.argv[1].encode(), 0x1002))
os.set_inheritable(fd, True)
os.execvp(sys.argv[2], [word.replace("TAPFD", str(fd)) for word in sys.argv[2:]])
"""


def watched(lab: Lab) -> tuple[float, dict[str, object]]:
    boot = lab.board("watched").boot("userspace")
    if not boot.passed:
        raise SystemExit(f"the watched boot failed: {boot.record.reason} ({boot.folder})")
    handover = json.loads((boot.folder / "handover.json").read_text())
    end = boot.record.stage("userspace").end
    lab.board("watched").off()
    return (end or 0.0) - handover["t"], handover


def bare(rig: Rig, handover: dict[str, object], folder: Path) -> float:
    """Seconds from QEMU's start to the login prompt, its console going straight into a pipe."""
    rig.reset_root("bare")
    port = rig.board("bare")
    words = [str(word) for word in handover["argv"]]  # type: ignore[union-attr]
    command: list[str] = []
    skip = False
    for position, word in enumerate(words):
        if skip:
            skip = False
        elif word == "-S":  # the emulator lets it go over its control channel, once it listens there
            continue
        elif word in ("-chardev", "-mon"):
            skip = True
        elif words[position - 1] == "-netdev":
            command.append("tap,id=wire,fd=TAPFD")
        elif words[position - 1] == "-append":
            # Its own, with its own secrets, which handover.json does not hold.
            command.append(port.cmdline.replace("console=serial0", "console=ttyAMA0"))
        else:
            command.append(word.replace("91cdf03d", "91cdf03e").replace(":02:f7", ":02:f8"))
    read, write = os.pipe()
    started = time.monotonic()
    python = ["/usr/bin/env", "python3", "-c", WITH_TAP, port.tap]
    process = rig.spawn(port.host, [*python, *command], stdout=write, stderr=folder / "bare.log")
    os.close(write)
    seen = b""
    try:
        while PROMPT not in seen:
            ready, _, _ = select.select([read], [], [], started + DEADLINE - time.monotonic())
            data = os.read(read, 65536) if ready else b""
            if not data:
                raise SystemExit(
                    f"bare QEMU did not reach its prompt; it said last: {seen[-300:]!r}; see {folder}/bare.log"
                )
            seen = seen[-200:] + data
        return time.monotonic() - started
    finally:
        process.stop()
        os.close(read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default="light", choices=["light", "debian"])
    parser.add_argument("--topology", default="dnsmasq-nfs", choices=sorted(TOPOLOGIES))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(prefix="piboot-bench-") as name:
        folder = Path(name)
        run = Run.create(folder, lab="benchmark")
        with Lab(adapted(loads(LAB), speed=None, root=options.root, topology=options.topology), run) as lab:
            rig = lab.rig_of("watched")
            for number in range(options.rounds + 1):
                a, handover = watched(lab)
                b = bare(rig, handover, folder)
                if number:  # the first warms the caches
                    ours.append(a)
                    theirs.append(b)
                    print(f"round {number}: watched {a:.2f} s, bare {b:.2f} s, ratio {a / b:.3f}", flush=True)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"{options.topology}, {options.root}: watched {statistics.median(ours):.2f} s, "
        f"bare {statistics.median(theirs):.2f} s (medians), ratio {statistics.median(ratios):.3f} (median of pairs)"
    )


if __name__ == "__main__":
    main()
