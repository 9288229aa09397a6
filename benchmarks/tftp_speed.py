# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast the emulated board reads a file over TFTP, beside curl, from the same dnsmasq: `benchmarks/tftp_speed.py`.

Needs root, dnsmasq and curl. Both clients sit behind the same bridge and cable; they take turns, and each one's own
clock starts at its first request. Prints medians and the ratios to curl as it comes and to curl at the board's block
size; exit code 1 when the board is slower than curl as it comes. At the same block size both do the same work per block,
and the ratio lies near 1: 0.8 to 1.1 on a busy machine with two processors, where a single run says little.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.emulator.effects import Halt, Link, Send, Steps, Stream
from harness.emulator.loop import Loop
from harness.emulator.machine import Machine
from harness.emulator.pi import VirtualPi
from harness.emulator.settings import load
from harness.emulator.stack import START4
from harness.emulator.tftp import Transfer
from harness.emulator.tftp_message import Limits, Server
from harness.emulator.tick import Tick

_FILE = "forty.bin"
_BYTES = 40_000_000
_SERVER = bytes((10, 77, 0, 1))


def client(config: Path, results: Path, stage: str) -> None:
    """One download by an emulated board that has its process to itself; writes the seconds that it took."""
    with Tick() as tick:
        _run(Loop(tick), config, results, stage)


def _run(loop: Loop, config: Path, results: Path, stage: str) -> None:

    def finish(seconds: float, transfer: Transfer) -> None:
        outcome = {
            "seconds": seconds,
            "bytes": len(transfer.data),
            "outcome": transfer.outcome,
            "again": transfer.resends,
        }
        results.write_text(json.dumps(outcome), encoding="utf-8")
        loop.stop()

    pi = VirtualPi(loop, load(config)[0], lambda machine: _download(machine, stage, finish))
    pi.power_on(None)
    loop.run()
    pi.close()


def _download(m: Machine, stage: str, finish: Callable[[float, Transfer], None]) -> Steps[None]:
    yield Link(up=True, deadline=m.clock() + 10)
    m.stack.ip, m.stack.mask = bytes((10, 77, 0, 77)), b"\xff\xff\xff\0"
    mac = yield from m.stack.resolve(_SERVER, m.clock() + 5, m.clock() + 5)
    if stage == "firmware":
        m.stack.use(START4)
    start = m.clock()
    transfer = Transfer(
        m.stack, Server(mac or b"", _SERVER), 49153, _FILE, now=start, blksize=1468, limits=Limits(file_timeout=120)
    )
    yield Send(transfer.start())
    yield Stream(transfer)
    finish(m.clock() - start, transfer)
    yield Halt("done")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--client", nargs=3, metavar=("CONFIG", "RESULTS", "STAGE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        client(Path(options.client[0]), Path(options.client[1]), options.client[2])
        return 0
    if os.geteuid() != 0:
        print("needs root (network namespaces with a bridge and a tap)", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory(prefix="piboot-bench-") as folder:
        times = _measure(Path(folder), options.rounds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        spread = f"{min(values):.3f} to {max(values):.3f} s"
        print(f"{name:28s} median {medians[name]:.3f} s  {_BYTES / medians[name] / 1e6:6.1f} MB/s  ({spread})")
    emulated = max(value for name, value in medians.items() if name.startswith("emulated"))
    for name in (name for name in medians if name.startswith("curl")):
        print(f"speed of the slower emulated stage to that of {name}: {medians[name] / emulated:.2f}")
    return 0 if medians["curl"] >= emulated else 1


def _measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    from harness.servers import Rig, VirtualBoard  # noqa: PLC0415 - the client process needs none of it

    board = VirtualBoard("bench", "pi4", "5ce8a2f1", "dc:a6:32:01:02:03", speed=100)
    with Rig([board], folder / "run", boot_set=None) as rig:
        (rig.tftp_root / _FILE).write_bytes(os.urandom(_BYTES))
        config = folder / "emulator.json"
        entry = {"name": "bench", "model": "pi4", "serial_number": board.serial_number, "mac": board.mac}
        entry |= {"tap": rig.board("bench").tap, "control": str(folder / "c"), "status": str(folder / "s")}
        entry |= {"artefacts": str(folder), "log": str(folder / "log")}
        config.write_text(json.dumps({"boards": [entry]}), encoding="utf-8")

        def run(*argv: str, stdout: Path | None = None) -> None:
            process = rig.spawn("client", list(argv), stdout=stdout, stderr=folder / "errors")
            process.wait(180)
            if process.returncode:
                raise subprocess.CalledProcessError(
                    process.returncode or 1, argv, stderr=(folder / "errors").read_text()
                )

        def emulated(stage: str) -> float:
            result = folder / "result.json"
            run(sys.executable, str(Path(__file__).resolve()), "--client", str(config), str(result), stage)
            found = json.loads(result.read_text(encoding="utf-8"))
            if found["bytes"] != _BYTES or found["outcome"] != "complete":
                raise RuntimeError(f"the transfer failed: {found}")
            return float(found["seconds"])

        def curl(*more: str) -> float:
            out = folder / "curl.out"
            out.unlink(missing_ok=True)
            url = f"tftp://10.77.0.1/{_FILE}"
            run("curl", "-s", "-o", "/dev/null", "-w", "%{size_download} %{time_total}", *more, url, stdout=out)
            size, seconds = out.read_text(encoding="utf-8").split()
            if int(size) != _BYTES:
                raise RuntimeError(f"curl got {size} bytes")
            return float(seconds)

        run("ip", "address", "add", "10.77.0.200/24", "dev", "br0")
        turns: dict[str, Callable[[], float]] = {
            "emulated, EEPROM stage": lambda: emulated("eeprom"),
            "curl --tftp-blksize 1468": lambda: curl("--tftp-blksize", "1468"),
            "emulated, start4.elf stage": lambda: emulated("firmware"),
            "curl": curl,
        }
        times: dict[str, list[float]] = {name: [] for name in turns}
        for _ in range(rounds):
            for name, turn in turns.items():
                times[name].append(turn())
        return times


if __name__ == "__main__":
    sys.exit(main())
