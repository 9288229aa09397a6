# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture against a tcpdump that misbehaves on purpose; the real one has its turn in test_capture_real."""

import errno
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.boot.events import Event, TransferEnded
from harness.errors import ConfigError, HarnessBug, HarnessError, InfraError
from harness.wire import ending
from harness.wire.capture import Capture
from harness.wire.filters import boot_filter
from harness.wire.pcapfile import CaptureFile
from harness.wire.process import local
from harness.wire.replay import replay
from tests.wire.frames import T0, download

pytestmark = pytest.mark.gear

FRAMES = download("kernel8.img", b"k" * 5000)
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 2048, 1)
LISTENING = "tcpdump: listening on tap-1, link-type EN10MB (Ethernet), snapshot length 2048 bytes\n"


def packets(frames: Sequence[bytes], first: int = 1) -> bytes:
    return b"".join(
        struct.pack("<IIII", int(T0), 100 * number, len(frame), len(frame)) + frame
        for number, frame in enumerate(frames, first)
    )


class Tcpdump:
    """A double: says and writes what the test tells it to, and answers signals. Doubles as the process."""

    def __init__(self, *, listens: str = LISTENING, header: bytes = HEADER, deaf: bool = False) -> None:
        self.listens, self.header, self.deaf = listens, header, deaf
        self.returncode: int | None = None
        self.signals: list[int] = []
        self.captured = self.received = self.dropped = 0
        self.on_asked: Callable[[], None] = lambda: None
        self._over = threading.Event()

    def spawn(self, argv: Sequence[str], stdout_fd: int, stderr_fd: int) -> "Tcpdump":
        self.argv = list(argv)
        self._out, self._err = os.dup(stdout_fd), os.dup(stderr_fd)
        self.say(self.listens)
        self.write(self.header)
        return self

    def say(self, text: str) -> None:
        os.write(self._err, text.encode())

    def write(self, octets: bytes) -> None:
        os.write(self._out, octets)

    def send(self, frames: Sequence[bytes]) -> None:
        self.write(packets(frames, self.captured + 1))
        self.captured += len(frames)

    def counters(self) -> str:
        received = max(self.received, self.captured)
        return (
            f"{self.captured} packets captured\n{received} packets received by filter\n"
            f"{self.dropped} packets dropped by kernel\n"
        )

    def exit(self, status: int) -> None:
        if self.returncode is None:
            self.returncode = status
            os.close(self._out)
            os.close(self._err)
            self._over.set()

    def signal(self, number: int) -> None:
        self.signals.append(number)
        if self.returncode is not None:
            return
        if number == signal.SIGKILL:
            self.exit(-9)
        elif self.deaf:
            return
        elif number == signal.SIGUSR1:
            self.on_asked()
            self.say(self.counters().replace("\n", ", ", 2))
        elif number == signal.SIGINT:
            self.say(self.counters())
            self.exit(0)

    def wait(self, timeout: float) -> int:
        if not self._over.wait(timeout) or self.returncode is None:
            raise TimeoutError
        return self.returncode


class Watch:
    """What a capture's callbacks got."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.errors: list[HarnessError] = []
        self.told = threading.Event()

    def error(self, error: HarnessError) -> None:
        self.errors.append(error)
        self.told.set()

    def capture(self, tcpdump: Tcpdump, path: Path, **options: object) -> Capture:
        options = {"on_event": self.events.append, "on_error": self.error, "spawn": tcpdump.spawn, **options}
        return Capture("tap-1", path, **options)  # type: ignore[arg-type]


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def test_packets_are_kept_and_decoded_while_they_come(tmp_path: Path) -> None:
    tcpdump, watch = Tcpdump(), Watch()
    with watch.capture(tcpdump, tmp_path / "capture.pcapng") as capture:
        tcpdump.send(FRAMES[:4])
        until(lambda: len(watch.events) >= 2)
        with CaptureFile(tmp_path / "capture.pcapng") as file:  # readable while the capture runs
            assert [packet[3] for packet in file] == FRAMES[:4]
        tcpdump.send(FRAMES[4:])
        info = capture.stop()
    assert (info.packets, info.received, info.dropped, info.complete) == (len(FRAMES), len(FRAMES), 0, True)
    assert (info.interface, info.filter, info.file) == ("tap-1", boot_filter(), "capture.pcapng")
    assert capture.info == info == capture.stop()
    assert isinstance(watch.events[-1], TransferEnded)
    assert watch.events[-1].transfer.complete
    assert watch.errors == capture.errors == []
    again = replay(tmp_path / "capture.pcapng")
    assert again.events == watch.events
    assert again.capture == info


def test_command_line(tmp_path: Path) -> None:
    tcpdump = Tcpdump()
    with Watch().capture(tcpdump, tmp_path / "c", filter_text="udp", snaplen=9000):
        pass
    assert " ".join(tcpdump.argv) == "tcpdump -i tap-1 -s 9000 -B 131072 --immediate-mode -U -n -w - udp"


def test_pieces_of_one_octet(tmp_path: Path) -> None:
    tcpdump, watch = Tcpdump(header=b""), Watch()
    with watch.capture(tcpdump, tmp_path / "c") as capture:
        for octet in HEADER + packets(FRAMES):
            tcpdump.write(bytes((octet,)))
        tcpdump.captured = len(FRAMES)
    assert capture.info.complete
    assert replay(tmp_path / "c").events == watch.events


def test_what_the_ring_still_holds_at_the_end_is_waited_for(tmp_path: Path) -> None:
    tcpdump, watch = Tcpdump(), Watch()
    rest = list(FRAMES)

    def asked() -> None:  # the ring gives a few packets at a time
        tcpdump.received = len(FRAMES)
        tcpdump.send([rest.pop(0) for _ in range(min(4, len(rest)))])

    tcpdump.on_asked = asked
    with watch.capture(tcpdump, tmp_path / "c") as capture:
        pass
    assert (capture.info.packets, capture.info.complete) == (len(FRAMES), True)
    assert tcpdump.signals.count(signal.SIGUSR1) >= len(FRAMES) // 4
    assert tcpdump.signals[-1] == signal.SIGINT


def test_packets_after_the_end_are_not_missed(tmp_path: Path) -> None:
    """Between the last counters and SIGINT the kernel may take one more; it is not of the boot."""
    tcpdump, watch = Tcpdump(), Watch()
    with watch.capture(tcpdump, tmp_path / "c") as capture:
        tcpdump.send(FRAMES)
        plain = tcpdump.counters
        numbers = iter([0] + [7] * 99)
        tcpdump.counters = lambda: (setattr(tcpdump, "received", len(FRAMES) + next(numbers)), plain())[1]  # type: ignore[method-assign]
    assert (capture.info.received, capture.info.complete) == (len(FRAMES), True)


def test_drops_are_on_the_record(tmp_path: Path) -> None:
    tcpdump, watch = Tcpdump(), Watch()
    with watch.capture(tcpdump, tmp_path / "c") as capture:
        tcpdump.send(FRAMES)
        tcpdump.received, tcpdump.dropped = len(FRAMES) + 5, 5
    info = capture.info
    assert (info.packets, info.received, info.dropped, info.complete) == (len(FRAMES), len(FRAMES) + 5, 5, False)
    assert replay(tmp_path / "c").capture == info


def test_ring_that_never_empties_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "DRAIN_TIMEOUT", 0.2)
    tcpdump, watch = Tcpdump(), Watch()
    tcpdump.received = 1000
    with watch.capture(tcpdump, tmp_path / "c") as capture:
        tcpdump.send(FRAMES)
    assert (capture.info.received, capture.info.complete) == (1000, False)


def test_tcpdump_that_does_not_obey_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "DRAIN_TIMEOUT", 0.1)
    monkeypatch.setattr(ending, "END_TIMEOUT", 0.1)
    tcpdump, watch = Tcpdump(deaf=True), Watch()
    with watch.capture(tcpdump, tmp_path / "c") as capture:
        tcpdump.send(FRAMES)
    assert tcpdump.signals[-2:] == [signal.SIGINT, signal.SIGKILL]
    assert (capture.info.packets, capture.info.received, capture.info.complete) == (len(FRAMES), None, False)


def test_capture_without_packets_is_a_whole_file(tmp_path: Path) -> None:
    with Watch().capture(Tcpdump(), tmp_path / "c") as capture:
        pass
    assert capture.info.complete
    assert replay(tmp_path / "c").events == []


def test_tcpdump_that_dies_in_the_middle(tmp_path: Path) -> None:
    tcpdump, watch = Tcpdump(), Watch()
    with watch.capture(tcpdump, tmp_path / "c") as capture:
        tcpdump.send(FRAMES[:5])
        tcpdump.say("tcpdump: pcap_loop: The interface disappeared\n")
        tcpdump.exit(1)
        assert watch.told.wait(5)
        (error,) = watch.errors
        assert isinstance(error, InfraError)
        assert error.what == (
            "tcpdump on tap-1 ended with status 1 in the middle of the boot: tcpdump: pcap_loop: The interface disappeared"
        )
        assert error.place == str(tmp_path / "c")
    assert (capture.info.packets, capture.info.received, capture.info.complete) == (5, None, False)
    assert len(watch.errors) == 1
    assert watch.events[-1].transfer.result == "timeout"  # type: ignore[union-attr]  # stamps of 2025, ended today
    again = replay(tmp_path / "c")
    assert again.events == watch.events
    assert again.capture == capture.info


def test_killed_tcpdump_is_named_with_its_signal(tmp_path: Path) -> None:
    tcpdump, watch = Tcpdump(), Watch()
    with watch.capture(tcpdump, tmp_path / "c"):
        tcpdump.exit(-9)
        assert watch.told.wait(5)
    assert "was ended by signal 9" in watch.errors[0].what


def test_full_disk_is_told_once_and_the_boot_is_followed_on(tmp_path: Path) -> None:
    tcpdump, watch = Tcpdump(), Watch()
    with watch.capture(tcpdump, tmp_path / "c") as capture:
        tcpdump.send(FRAMES[:3])
        until(lambda: capture.info.packets == 3)
        full = os.open("/dev/full", os.O_WRONLY)
        assert capture._recorder._file is not None
        os.dup2(full, capture._recorder._file.fileno())
        os.close(full)
        for frame in FRAMES[3:]:
            tcpdump.send([frame])
        until(lambda: any(isinstance(event, TransferEnded) for event in watch.events))
    (error,) = watch.errors
    assert isinstance(error, InfraError)
    assert error.what == f"cannot write the capture: {os.strerror(errno.ENOSPC)}"
    assert error.place == str(tmp_path / "c")
    assert (capture.info.packets, capture.info.received, capture.info.complete) == (3, len(FRAMES), False)
    assert replay(tmp_path / "c").capture.packets == 3


def test_disk_that_is_full_from_the_beginning() -> None:
    with pytest.raises(InfraError, match=os.strerror(errno.ENOSPC)), Watch().capture(Tcpdump(), Path("/dev/full")):
        pass


def test_file_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="No such file") as raised, Watch().capture(Tcpdump(), tmp_path / "no" / "c"):
        pass
    assert raised.value.place == str(tmp_path / "no" / "c")


def test_listener_that_raises_is_our_bug_and_the_capture_goes_on(tmp_path: Path) -> None:
    tcpdump, watch = Tcpdump(), Watch()

    def broken(event: Event) -> None:
        watch.events.append(event)
        raise KeyError("oops")

    with watch.capture(tcpdump, tmp_path / "c", on_event=broken) as capture:
        tcpdump.send(FRAMES)
    (error,) = watch.errors
    assert isinstance(error, HarnessBug)
    assert "KeyError: 'oops'" in error.what
    assert isinstance(watch.events[-1], TransferEnded)
    assert capture.info.complete
    assert capture.decoder.malformed == []


def test_stream_that_is_no_pcap(tmp_path: Path) -> None:
    tcpdump, watch = Tcpdump(header=b""), Watch()
    with watch.capture(tcpdump, tmp_path / "c") as capture:
        tcpdump.write(b"Permission denied (publickey).")
        assert watch.told.wait(5)
    (error,) = watch.errors
    assert isinstance(error, InfraError)
    assert "not a pcap stream" in error.what
    assert not capture.info.complete
    assert tcpdump.returncode == -9


def test_stream_that_is_no_pcap_before_listening(tmp_path: Path) -> None:
    tcpdump, watch = Tcpdump(listens="", header=b"Welcome to this host! Have fun."), Watch()
    with pytest.raises(InfraError, match="not a pcap stream"), watch.capture(tcpdump, tmp_path / "c"):
        pass
    assert watch.errors == []


def test_absurd_packet_length_in_the_stream(tmp_path: Path) -> None:
    tcpdump, watch = Tcpdump(), Watch()
    with watch.capture(tcpdump, tmp_path / "c"):
        tcpdump.write(struct.pack("<IIII", 1, 1, 0x7FFFFFFF, 1))
        assert watch.told.wait(5)
    assert "packet of 2147483647 octets" in watch.errors[0].what


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (
            "tcpdump: tap-1: No such device exists\n(No such device exists)\n",
            InfraError,
            "there is no interface 'tap-1'",
        ),
        ("tcpdump: tap-1: You don't have permission to perform this capture on that device\n", InfraError, "no right"),
        ("tcpdump: Couldn't change to 'tcpdump' uid=102 gid=105: Operation not permitted\n", InfraError, "no right"),
        ("tcpdump: tap-1: That device is not up\n", InfraError, "tap-1 is down"),
        ("tcpdump: can't parse filter expression: syntax error\n", ConfigError, "the capture filter is wrong"),
        ("tcpdump: \x1b[2Jodd\n", InfraError, r"does not listen on tap-1 within .* s: tcpdump: \\x1b\[2Jodd"),
    ],
)
def test_what_keeps_tcpdump_from_listening(tmp_path: Path, said: str, kind: type[HarnessError], words: str) -> None:
    tcpdump = Tcpdump(listens=said, header=b"")
    spawn = tcpdump.spawn
    watch = Watch()

    def failing(argv: Sequence[str], stdout_fd: int, stderr_fd: int) -> Tcpdump:
        spawn(argv, stdout_fd, stderr_fd)
        tcpdump.exit(1)
        return tcpdump

    with pytest.raises(kind, match=words) as raised, watch.capture(tcpdump, tmp_path / "c", spawn=failing):
        pass
    assert raised.value.remedy
    assert watch.errors == []


def test_tcpdump_that_never_listens(tmp_path: Path) -> None:
    tcpdump = Tcpdump(listens="", header=b"")
    with (
        pytest.raises(InfraError, match="it said nothing"),
        Watch().capture(tcpdump, tmp_path / "c", listen_timeout=0.1),
    ):
        pass
    assert tcpdump.returncode == 0


def test_tcpdump_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("harness.wire.process._SBIN", str(tmp_path))
    with (
        pytest.raises(InfraError, match="tcpdump is not installed") as raised,
        Watch().capture(Tcpdump(), tmp_path / "c", spawn=local),
    ):
        pass
    assert "apt install tcpdump" in raised.value.remedy
    assert not (tmp_path / "c").exists()


def test_errors_of_another_spawner_pass(tmp_path: Path) -> None:
    def spawn(argv: Sequence[str], stdout_fd: int, stderr_fd: int) -> Tcpdump:
        raise InfraError("the rig is gone")

    with pytest.raises(InfraError, match="the rig is gone"), Watch().capture(Tcpdump(), tmp_path / "c", spawn=spawn):
        pass


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    def descriptors() -> set[str]:
        return set(os.listdir("/proc/self/fd"))  # noqa: PTH208

    with Watch().capture(Tcpdump(), tmp_path / "c"):
        pass
    before = descriptors()
    for _ in range(3):
        with Watch().capture(Tcpdump(), tmp_path / "c"):
            pass
        with pytest.raises(InfraError), Watch().capture(Tcpdump(listens=""), tmp_path / "c", listen_timeout=0.05):
            pass
    assert len(descriptors()) == len(before)


def test_killed_harness_leaves_a_readable_file(tmp_path: Path) -> None:
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.wire.test_capture import *
tcpdump, watch = Tcpdump(), Watch()
with watch.capture(tcpdump, {str(tmp_path / "c")!r}):
    tcpdump.send(FRAMES)
    until(lambda: any(isinstance(event, TransferEnded) for event in watch.events))
    os.kill(os.getpid(), signal.SIGKILL)
""".replace("watch.capture(tcpdump, '", "watch.capture(tcpdump, Path('").replace("c')", "c'))")
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=60)
    assert done.returncode == -9, done.stderr.decode()
    seen = replay(tmp_path / "c")
    assert seen.capture.packets == len(FRAMES)
    assert (seen.capture.received, seen.capture.complete) == (None, False)
    assert isinstance(seen.events[-1], TransferEnded)


def test_filter_for_one_board_on_a_mirror_port() -> None:
    text = boot_filter("DC-A6-32-01-02-03")
    assert text.startswith("(ether host dc:a6:32:01:02:03 or ether multicast) and not (tcp and (port 2049")
    with pytest.raises(ValueError, match="not a MAC"):
        boot_filter("dc:a6")


def test_the_bulk_of_every_storage_service_stays_out() -> None:
    text = boot_filter()
    for port in ("port 2049", "port 3260", "port 6789", "portrange 6800-7568"):
        assert port in text
    assert text.endswith("and greater 401)")
