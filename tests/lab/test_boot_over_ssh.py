# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole boot of an emulated board whose wire is captured by a real sshd and tcpdump, on a host whose clock is ahead."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import SshWire, loads
from harness.lab import Lab
from harness.lab.captures import ssh_capture
from harness.run import Run
from harness.run.replay import replay
from harness.servers import Rig
from tests import emulated
from tests.servers.conftest import needs
from tests.wire.sshd import SSHD, Sshd, wrong_clock

pytestmark = [
    pytest.mark.netns,
    pytest.mark.qemu,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces with a tap"),
    pytest.mark.skipif(SSHD is None, reason="not installed: openssh-server"),
    needs("dnsmasq-nfs"),
]

LAB = emulated.lab("by-ssh", emulated.board())


@contextmanager
def named(rig: Rig, host: str) -> Iterator[str]:
    """A name for the network namespace of one of the rig's hosts."""
    name = f"piboot-test-{os.getpid()}"
    path = Path("/run/netns", name)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    fd = rig.keeper.open(host, "/proc/self/ns/net")
    subprocess.run(["mount", "--bind", f"/proc/{os.getpid()}/fd/{fd}", str(path)], check=True)
    os.close(fd)
    try:
        yield name
    finally:
        subprocess.run(["umount", str(path)], check=True)
        path.unlink()


def test_a_boot_that_is_seen_from_another_host(tmp_path: Path) -> None:
    config = loads(LAB)
    sshd = Sshd(tmp_path / "ssh", environment=wrong_clock(tmp_path / "wrong", 4000.0))
    with Lab(config, Run.create(tmp_path / "reports", lab="by-ssh")) as lab, sshd.running():
        board, rig = lab.board("pi4-a"), lab.rig_of("pi4-a")
        port = rig.board("pi4-a")
        with named(rig, port.host) as namespace:
            wire = SshWire(
                kind="ssh",
                host="127.0.0.1",
                port=sshd.port,
                key=f"{sshd.folder}/user",
                known_hosts=f"{sshd.folder}/known_hosts",
                interface=port.tap,
                namespace=namespace,
            )
            board.gear = replace(board.gear, open_capture=ssh_capture(wire, "e4:5f:01:09:02:f7"))
            boot = board.boot()
    assert boot.verdict == "passed", (boot.record.reason, boot.error)
    capture = boot.record.capture
    assert capture is not None
    assert (capture.interface, capture.dropped, capture.complete) == (f"127.0.0.1:{port.tap}", 0, True)
    assert capture.clock is not None
    assert abs(capture.clock.offset_s - 4000.0) <= capture.clock.uncertainty_s
    # Uncorrected, the packets would come an hour after power-on and after the last word of the console.
    assert boot.stages.dhcp.verdict == boot.stages.firmware.verdict == "passed"
    assert boot.record.duration_s < 3600
    assert boot.record.artefacts["clock"] == "clock.jsonl"
    assert replay(boot.folder) == boot.record
