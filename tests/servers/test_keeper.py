# SPDX-License-Identifier: GPL-2.0-or-later
"""The keeper and the processes that it runs."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from harness.errors import InfraError
from harness.servers import Keeper, Process, requirements
from harness.servers.channel import CallError
from harness.servers.process import last_lines
from tests.servers.conftest import open_descriptors


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    with Keeper(tmp_path / "keeper.log") as keeper:
        keeper.add_host("one")
        yield keeper


@pytest.mark.netns
def test_output_goes_where_it_is_sent(keeper: Keeper, tmp_path: Path) -> None:
    read, write = os.pipe()
    process = keeper.spawn("one", ["sh", "-c", "echo out; echo err >&2; exit 7"], stdout=write, stderr=tmp_path / "err")
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"out\n"  # and the end of it, so the keeper keeps no copy of the descriptor
    assert process.wait(10) == 7
    assert (tmp_path / "err").read_text() == "err\n"
    assert process.last_words() == "; its last lines:\n    err"
    assert not process.running


@pytest.mark.netns
def test_a_process_gets_its_directory_environment_and_host(keeper: Keeper, tmp_path: Path) -> None:
    keeper.add_host("two")
    script = "pwd; echo $COLOUR; ls /proc/self/fd | wc -l; cat /proc/net/dev | wc -l"
    keeper.add_bridge("two", "br0")
    for host in ("one", "two"):
        keeper.spawn(host, ["sh", "-c", script], stdout=tmp_path / host, cwd=tmp_path, env={"COLOUR": "green"}).wait(10)
    cwd, colour, descriptors, interfaces = (tmp_path / "one").read_text().split()
    assert (cwd, colour) == (str(tmp_path), "green")
    assert int(descriptors) == 4  # three of its own, and ls's directory
    assert int((tmp_path / "two").read_text().split()[3]) == int(interfaces) + 1


@pytest.mark.netns
def test_a_processs_end_is_seen_at_once(keeper: Keeper) -> None:
    process = keeper.spawn("one", ["sleep", "1000"])
    assert process.running
    with pytest.raises(InfraError, match=r"sleep \(process \d+\) still runs after 0.05 s"):
        process.wait(0.05)
    assert process.signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM
    assert not process.signal(signal.SIGTERM)
    assert process.stop() == -signal.SIGTERM


@pytest.mark.netns
def test_a_stubborn_process_is_stopped_with_its_helpers(keeper: Keeper, tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 1000 & echo $!; while :; do sleep 1000; done"
    process = keeper.spawn("one", ["sh", "-c", script], stdout=tmp_path / "out")
    while not (tmp_path / "out").read_text().endswith("\n"):
        assert not process.ended(0.01)
    helper = (tmp_path / "out").read_text().strip()
    assert process.stop(timeout=0.1) == -signal.SIGKILL
    probe = f"for i in $(seq 500); do kill -0 {helper} 2>/dev/null || exit 0; sleep 0.01; done; exit 1"
    assert keeper.spawn("one", ["sh", "-c", probe]).wait(10) == 0


@pytest.mark.netns
def test_a_pty_does_not_become_the_controlling_terminal(keeper: Keeper, tmp_path: Path) -> None:
    # Else the emulator, which makes the serial line, would be hung up with it.
    code = "import os; m, s = os.openpty(); os.open(os.ttyname(s), os.O_RDWR); print(open('/proc/self/stat').read().split()[6])"
    keeper.spawn("one", [sys.executable, "-c", code], stdout=tmp_path / "out").wait(10)
    assert (tmp_path / "out").read_text() == "0\n"


@pytest.mark.netns
def test_requests_of_many_threads_do_not_mix(keeper: Keeper) -> None:
    codes: dict[int, int] = {}

    def work(number: int) -> None:
        for _ in range(5):
            codes[number] = keeper.spawn("one", ["sh", "-c", f"exit {number}"]).wait(30)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == {number: number for number in range(8)}


@pytest.mark.netns
def test_orphans_are_reaped(keeper: Keeper, tmp_path: Path) -> None:
    keeper.spawn("one", ["sh", "-c", "for i in 1 2 3; do (sleep 0.05 &) ; done"]).wait(10)
    probe = "for i in $(seq 500); do ps -eo stat,comm | grep -q sleep || exit 0; sleep 0.02; done; ps -e; exit 1"
    assert keeper.spawn("one", ["sh", "-c", probe], stdout=tmp_path / "ps").wait(30) == 0


@pytest.mark.netns
def test_its_places_are_its_own(keeper: Keeper, tmp_path: Path) -> None:
    keeper.mount("tmpfs", "/srv/nfs/x", "tmpfs")
    keeper.spawn(
        "one",
        ["sh", "-c", "ls -A /run /srv; touch /run/x /srv/nfs/x/y; ls /srv/nfs/x; ps -e | wc -l"],
        stdout=tmp_path / "out",
    ).wait(10)
    out = (tmp_path / "out").read_text().split()
    assert out[:5] == ["/run:", "/srv:", "nfs", "y", out[4]]
    assert int(out[4]) <= 6
    assert not Path("/srv/nfs/x").exists()
    assert not Path("/run/x").exists()
    keeper.unmount("/srv/nfs/x")


@pytest.mark.netns
def test_what_cannot_be_done_is_said_and_the_keeper_goes_on(keeper: Keeper, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="could not add bridge: there is no 'nowhere'"):
        keeper.add_bridge("nowhere", "br0")
    with pytest.raises(InfraError, match="could not add host: host one is there already"):
        keeper.add_host("one")
    keeper.add_address("one", "lo", "10.0.0.1/8")
    with pytest.raises(CallError, match="could not add address: File exists") as caught:
        keeper.add_address("one", "lo", "10.0.0.1/8")
    assert caught.value.number == errno.EEXIST
    with pytest.raises(InfraError, match=r"could not mount: .*No such device"):
        keeper.mount("/nonexistent", str(tmp_path / "x"), "nonsense")
    with pytest.raises(InfraError, match=r"could not spawn: .*No such file"):
        keeper.spawn("one", ["true"], cwd="/nonexistent")
    with pytest.raises(InfraError, match="nonesuch is not installed"):
        keeper.spawn("one", ["nonesuch"])
    with pytest.raises(InfraError, match="cannot be asked to spawn: a message of"):
        keeper.spawn("one", ["true"], env={"LONG": "x" * (1 << 20)})
    assert keeper.spawn("one", ["true"]).wait(10) == 0


@pytest.mark.netns
def test_a_silent_keeper_is_not_waited_for_forever(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(keeper.pid)], capture_output=True, text=True, check=True
    ).stdout
    os.kill(int(children), signal.SIGSTOP)
    monkeypatch.setattr("harness.servers.keeper_client.CALL_TIMEOUT", 0.2)
    with pytest.raises(InfraError, match=r"did not answer 'add_host' within 0.2 s"):
        keeper.add_host("two")
    os.kill(int(children), signal.SIGCONT)
    monkeypatch.undo()
    # The late answer is nobody's; the next one is its caller's.
    keeper.add_host("three")
    began = time.monotonic()
    keeper.close()
    keeper.close()
    assert time.monotonic() - began < 8


def test_a_keeper_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "unshare"
    fake.write_text("#!/bin/sh\necho unshare: Operation not permitted >&2; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(InfraError, match=r"did not start(?s:.*)Operation not permitted") as caught:
        Keeper(tmp_path / "keeper.log", rootless=True)
    assert "user namespaces" in caught.value.remedy


def test_without_unshare_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.servers.keeper_client.find", Mock(side_effect=InfraError("unshare is not installed")))
    before = open_descriptors()
    with pytest.raises(InfraError, match="unshare is not installed"):
        Keeper(tmp_path / "keeper.log")
    assert open_descriptors() == before


def test_a_log_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first\n" * 20 + b"\x1b[2Jhost \xff name\x07\tok\n")
    shown = last_lines(log, 2)
    assert shown == "; its last lines:\n    first\n    \\x1b[2Jhost \ufffd name\\x07\tok"
    assert last_lines(tmp_path / "absent") == ""
    log.write_bytes(b"")
    assert last_lines(log) == ""


def test_callbacks_are_called_once_whenever_they_come() -> None:
    process = Process(Mock(), 1, ["true"], None)
    codes: list[int] = []
    process.on_exit(codes.append)
    process._finish(3)
    process._finish(-9)
    process.on_exit(codes.append)
    assert codes == [3, 3]
    assert process.returncode == 3


def test_requirements_say_what_to_install() -> None:
    needs = {program: (package, root) for program, package, why, root, _ in requirements() if why}
    assert needs["dnsmasq"] == ("dnsmasq-base", False)
    assert needs["ganesha.nfsd"] == ("nfs-ganesha nfs-ganesha-vfs", True)
    assert set(needs) == {"unshare", "dnsmasq", "rpcbind", "ganesha.nfsd"}
    assert {entry.program for entry in requirements("isc-hpa")} - set(needs) == {"dhcpd", "in.tftpd"}
    assert {entry.program for entry in requirements("kea-atftpd")} - set(needs) == {"kea-dhcp4", "atftpd"}
