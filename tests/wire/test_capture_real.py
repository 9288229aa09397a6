# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture with the real tcpdump, on a cable between two namespaces."""

import hashlib
import os
import queue
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.boot.events import Event, RootConnect, TransferEnded, TransferStarted
from harness.boot.record import TftpTransfer
from harness.errors import ConfigError, HarnessError, InfraError
from harness.wire.capture import Capture
from harness.wire.pcapfile import CaptureFile
from harness.wire.process import Process
from harness.wire.replay import replay
from tests.wire.conftest import Net

pytestmark = pytest.mark.netns

SEND = """
import socket, sys, time
count, rate, size = map(int, sys.argv[1:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
begin = time.monotonic()
for n in range(count):
    s.sendto(n.to_bytes(4).ljust(size, b"x"), ("10.99.0.1", 9))
    if rate and n % 50 == 0:
        time.sleep(max(0.0, begin + n / rate - time.monotonic()))
"""

ASK = """
import socket, sys, time
for n in range(int(sys.argv[1])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"\\0\\1file%d\\0octet\\0" % n, ("10.99.0.1", 69))
    time.sleep(float(sys.argv[2]))
"""

BULK = """
import socket, sys, threading
def serve(listener):
    peer, _ = listener.accept()
    while peer.recv(65536): pass
    peer.sendall(b"done")
    peer.close()
if sys.argv[1] == "server":
    listener = socket.create_server(("10.99.0.1", 2049))
    print("ready", flush=True)
    serve(listener)
else:
    s = socket.create_connection(("10.99.0.1", 2049))
    s.sendall(b"x" * 3_000_000)
    s.shutdown(socket.SHUT_WR)
    s.recv(4)
"""


@contextmanager
def tftp_server(net: Net, root: Path) -> Iterator[None]:
    """dnsmasq, ready when it says that it serves."""
    argv = [
        "dnsmasq",
        "--no-daemon",
        "--port=0",
        "--conf-file=/dev/null",
        "--enable-tftp",
        f"--tftp-root={root}",
        "--user=root",
    ]
    with subprocess.Popen(net.server.argv(*argv), stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            assert any("TFTP root is" in line for line in server.stderr)
            yield
        finally:
            server.terminate()


@pytest.fixture
def tftp_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tftp")
    (root / "kernel8.img").write_bytes(os.urandom(8_000_000))
    (root / "even").write_bytes(b"e" * 1468 * 3)
    return root


def curl(net: Net, path: str, *, good: bool = True) -> None:
    argv = net.client.argv("curl", "-s", "--tftp-blksize", "1468", "-o", "/dev/null", f"tftp://10.99.0.1/{path}")
    assert (subprocess.run(argv, check=False, timeout=60).returncode == 0) is good


def transfers(events: Sequence[Event]) -> list[TftpTransfer]:
    return [event.transfer for event in events if isinstance(event, TransferEnded)]


def test_every_packet_of_real_transfers(net: Net, tmp_path: Path, tftp_root: Path) -> None:
    events: list[Event] = []
    late: list[float] = []

    def take(event: Event) -> None:
        events.append(event)
        late.append(time.time() - event.t)

    begin = time.time()
    with (
        tftp_server(net, tftp_root),
        Capture("tap", tmp_path / "c.pcapng", on_event=take, spawn=net.client.spawn) as capture,
    ):
        for name in ("kernel8.img", "even"):
            curl(net, name)
        curl(net, "missing", good=False)
        info = capture.stop()
    end = time.time()
    assert (info.dropped, info.complete) == (0, True)
    assert info.packets == info.received
    assert capture.decoder.malformed == []
    assert [(one.path, one.result, one.asked_by) for one in transfers(events)] == [
        ("kernel8.img", "complete", "os"),
        ("even", "complete", "os"),
        ("missing", "not found", "os"),
    ]
    for one in transfers(events)[:2]:
        content = (tftp_root / one.path).read_bytes()
        assert (one.bytes, one.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert begin <= one.start <= one.end <= end
    assert 0 <= min(late) < 0.5  # live, and the kernel's stamps are of the same clock
    again = replay(tmp_path / "c.pcapng")
    assert again.events == events
    assert again.capture == info
    with CaptureFile(tmp_path / "c.pcapng") as file:
        stamps = [packet[1] for packet in file]
    assert begin <= stamps[0] <= stamps[-1] <= end
    assert any(round(stamp * 1e6) % 1000 for stamp in stamps)  # microseconds

    argv = ["tcpdump", "-n", "-r", str(tmp_path / "c.pcapng"), "-w", "-"]
    reread = subprocess.run(argv, check=True, capture_output=True).stdout
    (tmp_path / "reread.pcap").write_bytes(reread)
    assert replay(tmp_path / "reread.pcap").capture.packets == info.packets


def test_other_readers_agree(net: Net, tmp_path: Path, tftp_root: Path) -> None:
    from scapy.utils import RawPcapNgReader  # noqa: PLC0415

    with tftp_server(net, tftp_root), Capture("tap", tmp_path / "c.pcapng", spawn=net.client.spawn) as capture:
        curl(net, "even")
    with RawPcapNgReader(str(tmp_path / "c.pcapng")) as reader, CaptureFile(tmp_path / "c.pcapng") as ours:
        theirs = [(data, (meta.tshigh << 32 | meta.tslow) / 1e6) for data, meta in reader]
        assert theirs == [(data, t) for _, t, _, data in ours]
        assert len(theirs) == capture.info.packets


def test_burst_just_before_the_end_is_in_the_file(net: Net, tmp_path: Path) -> None:
    with Capture("tap", tmp_path / "c", spawn=net.client.spawn) as capture:
        net.client.run(sys.executable, "-c", SEND, "20000", "0", "100")
        info = capture.stop()
    assert (info.dropped, info.complete) == (0, True)
    with CaptureFile(tmp_path / "c") as file:
        numbers = [
            int.from_bytes(data[42:46]) for _, _, _, data in file if data[12:14] == b"\x08\x00" and data[23] == 17
        ]
    assert numbers == list(range(20000))


def test_more_packets_per_second_than_a_real_pi_makes(net: Net, tmp_path: Path) -> None:
    with Capture("tap", tmp_path / "c", spawn=net.client.spawn) as capture:
        net.client.run(sys.executable, "-c", SEND, "50000", "25000", "1400")
        info = capture.stop()
    assert (info.dropped, info.complete) == (0, True)
    assert info.packets >= 50000


def test_packets_come_at_once(net: Net, tmp_path: Path) -> None:
    late: list[float] = []

    def take(event: Event) -> None:
        if isinstance(event, TransferStarted):
            late.append(time.time() - event.t)

    with Capture("tap", tmp_path / "c", on_event=take, spawn=net.client.spawn):
        net.client.run(sys.executable, "-c", ASK, "9", "0.2")
    assert len(late) == 9
    assert statistics.median(late) < 0.25  # in blocks they would come up to a second later, half a second as a rule


def test_bulk_of_the_root_file_system_is_left_out(net: Net, tmp_path: Path) -> None:
    events: list[Event] = []
    argv = net.server.argv(sys.executable, "-c", BULK, "server")
    with (
        Capture("tap", tmp_path / "c", on_event=events.append, spawn=net.client.spawn) as capture,
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        server.stdout.readline()
        net.client.run(sys.executable, "-c", BULK, "client")
    assert capture.info.complete
    assert (tmp_path / "c").stat().st_size < 500_000
    (connect,) = [event for event in events if isinstance(event, RootConnect)]
    assert (connect.protocol, connect.server_ip, connect.port) == ("nfs", "10.99.0.1", 2049)


def test_killed_tcpdump(net: Net, tmp_path: Path, tftp_root: Path) -> None:
    started: list[Process] = []
    errors: queue.Queue[HarnessError] = queue.Queue()

    def spawn(argv: Sequence[str], stdout_fd: int, stderr_fd: int) -> Process:
        started.append(net.client.spawn(argv, stdout_fd, stderr_fd))
        return started[0]

    with (
        tftp_server(net, tftp_root),
        Capture("tap", tmp_path / "c", on_error=errors.put, spawn=spawn) as capture,
    ):
        curl(net, "even")
        deadline = time.monotonic() + 5
        while capture.info.packets < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        started[0].signal(signal.SIGKILL)
        error = errors.get(timeout=5)
    assert isinstance(error, InfraError)
    assert "was ended by signal 9 in the middle of the boot" in error.what
    assert errors.empty()
    assert (capture.info.received, capture.info.complete) == (None, False)
    assert replay(tmp_path / "c").capture.packets == capture.info.packets >= 10


def test_interface_that_goes_away(net: Net, tmp_path: Path) -> None:
    errors: queue.Queue[HarnessError] = queue.Queue()
    with Capture("tap", tmp_path / "c", on_error=errors.put, spawn=net.client.spawn):
        net.client.run("ip", "link", "delete", "tap")
        error = errors.get(timeout=5)
    assert isinstance(error, InfraError)
    assert "in the middle of the boot" in error.what


def test_interface_that_is_not_there(net: Net, tmp_path: Path) -> None:
    with (
        pytest.raises(InfraError, match="there is no interface 'eth7'"),
        Capture("eth7", tmp_path / "c", spawn=net.client.spawn),
    ):
        pass


def test_interface_that_is_down(net: Net, tmp_path: Path) -> None:
    net.client.run("ip", "link", "set", "tap", "down")
    with pytest.raises(InfraError, match="tap is down"), Capture("tap", tmp_path / "c", spawn=net.client.spawn):
        pass


def test_filter_that_is_none(net: Net, tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="filter is wrong") as raised,
        Capture("tap", tmp_path / "c", filter_text="port port", spawn=net.client.spawn),
    ):
        pass
    assert raised.value.place == "port port"


def test_user_without_the_right(net: Net, tmp_path: Path) -> None:
    def spawn(argv: Sequence[str], stdout_fd: int, stderr_fd: int) -> Process:
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *argv]
        return net.client.spawn(nobody, stdout_fd, stderr_fd)

    with pytest.raises(InfraError, match="no right to capture") as raised, Capture("tap", tmp_path / "c", spawn=spawn):
        pass
    assert "setcap" in raised.value.remedy


def test_disk_that_gets_full(tmp_path: Path) -> None:
    """A real full disk, in a mount namespace of its own; the program is a test of test_capture's kind."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.wire.test_capture import *
tcpdump, watch, path = Tcpdump(), Watch(), Path({str(tmp_path)!r}, "c")
frames = download("kernel8.img", b"k" * 200_000)
with watch.capture(tcpdump, path) as capture:
    for start in range(0, len(frames), 10):
        tcpdump.send(frames[start:start + 10])
(error,) = watch.errors
assert (error.what, error.place) == ("cannot write the capture: No space left on device", str(path)), error
assert watch.events[-1].transfer.complete
seen = replay(path)
assert 10 <= seen.capture.packets == capture.info.packets < len(frames), seen.capture
assert not seen.capture.complete and not capture.info.complete
print("good")
"""
    script = tmp_path / "program.py"
    script.write_text(program)
    mount = f"exec 3<{script}; mount -t tmpfs -o size=64k none {tmp_path} && exec {sys.executable} /dev/fd/3"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "good\n", done.stderr
