# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures by ssh: a real OpenSSH server, the real tcpdump behind it, on a cable between two namespaces."""

import dataclasses
import hashlib
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.boot.events import Event, TransferEnded
from harness.errors import ConfigError, HarnessError, InfraError
from harness.wire.filters import boot_filter
from harness.wire.hostclock import HostClock, clock_of
from harness.wire.remote import RemoteCapture
from harness.wire.replay import replay
from tests.wire.conftest import Net
from tests.wire.sshd import SSHD, Sshd, running, wrong_clock
from tests.wire.test_capture import until
from tests.wire.test_capture_real import SEND, curl, tftp_server

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.netns, pytest.mark.skipif(SSHD is None, reason="not installed: openssh-server")]


@pytest.fixture
def tftp_root(tmp_path: Path) -> Path:
    root = tmp_path / "tftp"
    root.mkdir(mode=0o755)
    (root / "even").write_bytes(os.urandom(1468 * 300))
    return root


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "ssh").running() as server:
        yield server


@pytest.fixture
def lab(net: Net) -> Iterator[str]:
    """The name of the client's namespace."""
    name = f"piboot-test-{net.client.pid}"
    subprocess.run(["ip", "netns", "attach", name, str(net.client.pid)], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def own_filter(lab: str) -> str:
    """One that no other tcpdump of this machine has."""
    return (
        f"{boot_filter()} and not host 203.0.113.{int(lab.rpartition('-')[2]) % 256} and not port {os.getpid() % 65536}"
    )


def capture(sshd: Sshd, folder: Path, lab: str, **options: object) -> RemoteCapture:
    folder.mkdir(exist_ok=True)
    return RemoteCapture(sshd.host(), "tap", folder, namespace=lab, **options)  # type: ignore[arg-type]


def test_real_transfers_on_another_host(sshd: Sshd, net: Net, lab: str, tmp_path: Path, tftp_root: Path) -> None:
    events: list[Event] = []
    folder = tmp_path / "boot"
    begin = time.time()
    with tftp_server(net, tftp_root), capture(sshd, folder, lab, on_event=events.append) as remote:
        curl(net, "even")
        info = remote.stop()
    end = time.time()
    assert (info.dropped, info.complete, info.interface) == (0, True, "127.0.0.1:tap")
    assert info.packets == info.received
    (transfer,) = [event.transfer for event in events if isinstance(event, TransferEnded)]
    assert transfer.sha256 == hashlib.sha256((tftp_root / "even").read_bytes()).hexdigest()
    clock = clock_of(folder)
    assert clock is not None
    assert abs(clock.offset_s) <= clock.uncertainty_s < 1.0  # it is this machine's own clock
    assert begin - clock.uncertainty_s <= transfer.start <= transfer.end <= end + clock.uncertainty_s
    assert clock.drift_s is not None
    assert not clock.stepped
    again = replay(folder / "capture.pcapng")
    assert again.events == events
    assert again.capture == info


def test_a_burst_just_before_the_end_is_in_the_file(sshd: Sshd, net: Net, lab: str, tmp_path: Path) -> None:
    with capture(sshd, tmp_path / "boot", lab) as remote:
        net.client.run(sys.executable, "-c", SEND, "20000", "0", "100")
        info = remote.stop()
    assert (info.dropped, info.complete) == (0, True)
    assert info.packets >= 20000


def test_a_clock_that_is_ahead_is_put_on_ours(net: Net, lab: str, tmp_path: Path, tftp_root: Path) -> None:
    events: list[Event] = []
    folder = tmp_path / "boot"
    server = Sshd(tmp_path / "ssh", environment=wrong_clock(tmp_path / "wrong", 3.25))
    begin = time.time()
    with (
        server.running(),
        tftp_server(net, tftp_root),
        capture(server, folder, lab, on_event=events.append),
    ):
        curl(net, "even")
    end = time.time()
    (transfer,) = [event.transfer for event in events if isinstance(event, TransferEnded)]
    clock = clock_of(folder)
    assert clock is not None
    assert abs(clock.offset_s - 3.25) <= clock.uncertainty_s
    assert (clock.host, clock.stepped) == ("127.0.0.1", False)
    assert begin - clock.uncertainty_s <= transfer.start <= transfer.end <= end + clock.uncertainty_s
    assert replay(folder / "capture.pcapng").events == events


def test_a_clock_that_is_set_during_the_boot_is_marked(net: Net, lab: str, tmp_path: Path) -> None:
    folder = tmp_path / "boot"
    server = Sshd(tmp_path / "ssh", environment=wrong_clock(tmp_path / "wrong", -1.0))
    with server.running(), capture(server, folder, lab):
        (tmp_path / "wrong" / "step").write_text("7.5")
    clock = clock_of(folder)
    assert clock is not None
    assert clock.stepped
    assert clock.drift_s is not None
    assert abs(clock.drift_s - 7.5) < 1.0


def test_a_connection_that_is_lost_leaves_what_came(
    sshd: Sshd, net: Net, lab: str, tmp_path: Path, tftp_root: Path
) -> None:
    errors: queue.Queue[HarnessError] = queue.Queue()
    folder, own = tmp_path / "boot", own_filter(lab)
    with (
        tftp_server(net, tftp_root),
        capture(sshd, folder, lab, on_error=errors.put, filter_text=own) as remote,
    ):
        curl(net, "even")
        until(lambda: remote.info.packets > 100)
        sshd.cut()
        error = errors.get(timeout=30)
    assert isinstance(error, InfraError)
    assert "connection to 127.0.0.1 was lost" in error.what
    assert "ssh" in error.remedy
    assert errors.empty()
    assert (remote.info.received, remote.info.complete) == (None, False)
    assert replay(folder / "capture.pcapng").capture.packets == remote.info.packets > 100
    clock = clock_of(folder)
    assert clock is not None
    assert clock.drift_s is None  # nobody could be asked
    until(lambda: running(own) == [], 15.0)  # nor does tcpdump go on there


@pytest.mark.slow
def test_a_connection_that_falls_silent_is_lost_too(sshd: Sshd, net: Net, lab: str, tmp_path: Path) -> None:
    """No word from the other side, as behind a firewall that forgot us: ssh's own signs of life tell."""
    errors: queue.Queue[HarnessError] = queue.Queue()
    with capture(sshd, tmp_path / "boot", lab, on_error=errors.put):
        for pid in sshd.sessions():
            os.kill(pid, signal.SIGSTOP)
        error = errors.get(timeout=90)
        for pid in sshd.sessions():
            os.kill(pid, signal.SIGCONT)
    assert "was lost: Timeout, server 127.0.0.1 not responding" in error.what


def test_a_harness_that_is_killed_leaves_nothing_there(sshd: Sshd, net: Net, lab: str, tmp_path: Path) -> None:
    own = own_filter(lab)
    program = f"""
import sys
from pathlib import Path
from harness.wire.remote import RemoteCapture
from harness.wire.ssh import SshHost
host = SshHost(*{dataclasses.astuple(sshd.host())!r})
RemoteCapture(host, "tap", Path({str(tmp_path)!r}), namespace={lab!r}, filter_text={own!r}).__enter__()
print("listens", flush=True)
sys.stdin.read()
"""
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == "listens\n"
        assert running(own)
        harness.kill()
    until(lambda: running(own) == [], 30.0)


def test_an_ordinary_end_leaves_nothing_there(sshd: Sshd, net: Net, lab: str, tmp_path: Path) -> None:
    own = own_filter(lab)
    with capture(sshd, tmp_path / "boot", lab, filter_text=own):
        assert running(own)
    assert running(own) == []


def test_a_key_that_is_not_known(sshd: Sshd, lab: str, tmp_path: Path) -> None:
    (sshd.folder / "known_hosts").write_text("")
    with pytest.raises(InfraError, match=r"host key of 127\.0\.0\.1 is not known") as caught:
        capture(sshd, tmp_path / "boot", lab).__enter__()
    assert "fingerprint" in caught.value.remedy
    assert (sshd.folder / "known_hosts").read_text() == ""  # nor is it taken on trust


def test_another_key_than_the_known_one(sshd: Sshd, lab: str, tmp_path: Path) -> None:
    other = Sshd(tmp_path / "other")
    known = sshd.folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{sshd.port} {other.host_key}\n")
    with pytest.raises(InfraError, match="another than the known one") as caught:
        capture(sshd, tmp_path / "boot", lab).__enter__()
    assert f"ssh-keygen -f {known} -R" in caught.value.remedy


def test_a_user_that_is_not_let_in(sshd: Sshd, lab: str, tmp_path: Path) -> None:
    other = Sshd(tmp_path / "other")
    host = sshd.host(key=str(other.folder / "user"))
    with pytest.raises(InfraError, match="does not let us log in") as caught, HostClock(host) as clock:
        clock.measure("start")
    assert "authorized_keys" in caught.value.remedy


def test_a_host_that_does_not_answer(sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="does not answer to ssh"), HostClock(sshd.host(port=1)) as clock:
        clock.measure("start")


def test_no_tcpdump_there(net: Net, lab: str, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "date", "sleep"):
        (programs / name).symlink_to(f"/bin/{name}")
    if Path("/usr/sbin/tcpdump").exists():
        pytest.skip("tcpdump is in /usr/sbin here, where it is found without a PATH")
    server = Sshd(tmp_path / "ssh", environment={"PATH": str(programs)})
    with server.running(), pytest.raises(InfraError, match=r"is not installed on 127\.0\.0\.1") as caught:
        RemoteCapture(server.host(), "lo", tmp_path).__enter__()
    assert "on 127.0.0.1: sudo apt install" in caught.value.remedy


def test_no_right_there(net: Net, lab: str, tmp_path: Path) -> None:
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups sh -c"
    server = Sshd(tmp_path / "ssh", options=f'command="{nobody} \\"$SSH_ORIGINAL_COMMAND\\""')
    with server.running():
        with pytest.raises(InfraError, match=r"no right to capture on lo on 127\.0\.0\.1") as caught:
            RemoteCapture(server.host(), "lo", tmp_path).__enter__()
        assert "on 127.0.0.1: sudo setcap cap_net_raw=ep" in caught.value.remedy
        with pytest.raises(InfraError, match="no right to enter the network namespace"):
            capture(server, tmp_path / "boot", lab).__enter__()


def test_what_is_wrong_there_is_told_with_the_host(sshd: Sshd, net: Net, lab: str, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match=r"no interface 'eth7' on 127\.0\.0\.1"):
        RemoteCapture(sshd.host(), "eth7", tmp_path).__enter__()
    with pytest.raises(InfraError, match=r"no network namespace 'nowhere' on 127\.0\.0\.1"):
        RemoteCapture(sshd.host(), "tap", tmp_path, namespace="nowhere").__enter__()
    with pytest.raises(ConfigError, match="filter is wrong"):
        capture(sshd, tmp_path, lab, filter_text="port 'x; touch /tmp/no' port").__enter__()


def test_a_login_shell_that_says_something_first(net: Net, lab: str, tmp_path: Path) -> None:
    """A ~/.bashrc that prints: the clock cannot be read, and the error says what came instead."""
    server = Sshd(tmp_path / "ssh", options='command="echo Welcome; sh -c \\"$SSH_ORIGINAL_COMMAND\\""')
    with server.running(), pytest.raises(InfraError, match=r"does not tell its time.*Welcome"):
        capture(server, tmp_path / "boot", lab).__enter__()
