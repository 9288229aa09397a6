# SPDX-License-Identifier: GPL-2.0-or-later
"""NFS options that Debian's initramfs cannot do fail as on real boards; the initramfs that a lab gets for v4.1 can."""

import pytest

from harness.servers.nfs_topology import NfsTopology
from tests.topologies.conftest import OpenLab
from tests.topologies.labs import Pi

pytestmark = [pytest.mark.netns, pytest.mark.qemu]


def test_v4_1_is_mounted_by_the_initramfs_that_the_lab_gets_for_it(open_lab: OpenLab) -> None:
    lab = open_lab("dnsmasq-nfs", Pi("pi4-a", "pi4"), more='nfs: "4.1"')
    board = lab.board("pi4-a")
    boot = board.boot()
    assert boot.verdict == "passed", boot.record.reason
    root = boot.record.root
    assert root is not None
    assert root.fstype == "nfs4"
    assert {"vers=4.1", "proto=tcp", "rw"} <= set((root.options or "").split(","))
    assert board.shell.run("echo kept > /root/kept && sync").status == 0
    board.off()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("vers=4.1,proto=tcp", "invalid value for vers"),
        pytest.param("vers=3,proto=tcp", "bad option", marks=pytest.mark.slow),
    ],
)
def test_debians_own_initramfs_refuses(
    open_lab: OpenLab, monkeypatch: pytest.MonkeyPatch, options: str, said: str
) -> None:
    usual = NfsTopology.cmdline
    monkeypatch.setattr(NfsTopology, "initramfs", "nfs")
    monkeypatch.setattr(NfsTopology, "cmdline", lambda self, board: usual(self, board).replace("vers=3,tcp", options))
    board = open_lab("dnsmasq-nfs", Pi("pi4-a", "pi4")).board("pi4-a")
    boot = board.boot()
    board.off()
    assert boot.verdict == "failed(root)", boot.record.reason
    assert said in boot.console.text
    faults = [finding for finding in boot.findings if finding.severity == "fault"]
    assert faults[0].id == "nfs-bad-options"
    assert "vers=3,tcp" in faults[0].remedy
