# SPDX-License-Identifier: GPL-2.0-or-later
"""How long it takes to judge a boot's capture: reading, decoding, tracking, SHA-256 of every file.

    python benchmarks/capture_judge.py [CAPTURE.pcapng]

Without a file, a boot is made up: 10 files, 60,000 packets, 44 MB, and one of 110,000 packets and 80 MB. The peer is
scapy's RawPcapNgReader, which only walks the file and decodes nothing; ratios below 1 mean that judging everything is
faster than that walk. Medians of RUNS.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from scapy.utils import RawPcapNgReader, RawPcapReader

from harness.boot.events import TransferEnded
from harness.wire.capture import Capture
from harness.wire.pcapfile import CaptureFile
from harness.wire.replay import replay
from tests.wire.frames import PI_IP, SERVER_IP, arp, bootp, download, from_client, ip4, to_client, write_pcapng
from tests.wire.test_capture import HEADER, Tcpdump, packets

RUNS = 5
STARTS = ("import harness.wire.scapy_read", "import harness.wire.scapy_read as s; s.warm()")


def boot(megabytes: float, files: int = 10) -> list[bytes]:
    """Frames of a Pi 4's firmware stage: DHCP, ARP, `files` reads of equal size at blksize 1468."""
    size = int(megabytes * 1_000_000 / files)
    frames = [
        from_client(bootp((53, b"\1"), (97, bytes(17)))),
        to_client(bootp((53, b"\2"), (54, ip4(SERVER_IP)), op=2, yiaddr=PI_IP)),
        from_client(bootp((53, b"\3"), (50, ip4(PI_IP)))),
        to_client(bootp((53, b"\5"), (54, ip4(SERVER_IP)), op=2, yiaddr=PI_IP)),
        arp(1, "dc:a6:32:01:02:03", PI_IP, "00:00:00:00:00:00", SERVER_IP),
    ]
    for number in range(files):
        content = bytes((number,)) * size
        frames += download(f"5ce8a2f1/file{number}", content, port=30000 + number, tid=40000 + number)
    return frames


def median(action: Callable[[], object]) -> tuple[float, float]:
    """(wall, CPU) seconds: on a busy machine the second is what the code is to blame for."""
    walls, cpus = [], []
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        action()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def walk_ours(path: Path) -> None:
    with CaptureFile(path) as file:
        for _ in file:
            pass


def walk_scapy(path: Path) -> None:
    reader_of = RawPcapNgReader if path.suffix == ".pcapng" else RawPcapReader
    with reader_of(str(path)) as reader:
        for _ in reader:
            pass


def measure(name: str, path: Path) -> None:
    seen = replay(path)
    files = [event.transfer for event in seen.events if isinstance(event, TransferEnded)]
    octets = sum(one.bytes for one in files)
    count = seen.capture.packets
    print(f"\n{name}: {count} packets, {octets / 1e6:.1f} MB in {len(files)} transfers")
    judged, peer = median(lambda: replay(path)), median(lambda: walk_scapy(path))
    rows = (
        ("read, decode, track, SHA-256", judged),
        ("of that, reading alone", median(lambda: walk_ours(path))),
        ("scapy RawPcapNgReader, reading alone", peer),
    )
    for what, (wall, cpu) in rows:
        print(f"  {what:<40} {wall:7.3f} s  CPU {cpu:7.3f} s  {count / wall:10,.0f} packets/s")
    print(f"  {'ratio to the peer':<40} {judged[0] / peer[0]:7.2f}    CPU {judged[1] / peer[1]:7.2f}")


def live(path: Path) -> None:
    """What a live capture does per packet: stream in, pcapng out, events; without tcpdump."""
    tcpdump = Tcpdump(header=b"")
    with CaptureFile(path) as file:
        frames = [data for _, _, _, data in file]
    stream = HEADER + packets(frames)
    with tempfile.TemporaryDirectory() as folder, Capture("x", Path(folder) / "c", spawn=tcpdump.spawn) as capture:
        wall, cpu = time.perf_counter(), time.process_time()
        for start in range(0, len(stream), 1 << 16):
            tcpdump.write(stream[start : start + (1 << 16)])
        tcpdump.captured = len(frames)
        capture.stop()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    what = "live: stream to pcapng and events"
    print(f"  {what:<40} {wall:7.3f} s  CPU {cpu:7.3f} s  {len(frames) / wall:10,.0f} packets/s")


def main() -> None:
    bare, warm = (median(lambda code=code: subprocess.run([sys.executable, "-c", code], check=True)) for code in STARTS)
    print(f"import of scapy's layers, once per process: {warm[0] - bare[0]:.3f} s")
    if len(sys.argv) > 1:
        measure(sys.argv[1], Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "boot.pcapng"
        for name, megabytes in (("a boot", 44.0), ("a boot with a large initramfs", 80.0)):
            write_pcapng(path, boot(megabytes))
            measure(name, path)
            live(path)


if __name__ == "__main__":
    main()
