# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots on iSCSI and Ceph RBD: two boards at once, what a board writes, services that fail before and after the login."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.board import Board
from harness.boot.record import Finding
from harness.lab import Lab
from harness.result import Boot
from harness.servers.ceph_rbd import CephRbd
from harness.servers.dnsmasq_iscsi import DnsmasqIscsi
from harness.servers.services.ceph import CephOsd
from harness.servers.services.tgt import Tgt
from tests.topologies.conftest import OpenLab
from tests.topologies.labs import Pi

pytestmark = [pytest.mark.netns, pytest.mark.qemu]

PI = Pi("pi4-a", "pi4")
#: Given up soon: nothing more would come.
HASTY = Pi("pi4-a", "pi4", 0, {"budgets": "{root: 15}"})
SECOND = {"dnsmasq-iscsi": "pi5", "ceph-rbd": "cm4"}


class At:
    """A viewer that does something once, when a stage of the boot has ended."""

    def __init__(self, stage: str, action: Callable[[], object]) -> None:
        self._stage, self._action, self.done = stage, action, threading.Event()

    def __getattr__(self, name: str) -> Callable[..., None]:
        def told(*arguments: object) -> None:
            if name == "stage_ended" and self._stage in arguments and not self.done.is_set():
                self.done.set()
                self._action()

        return told


def tgt_of(lab: Lab) -> Tgt:
    service = lab.rig_of(PI.name).services["tgt"]
    assert isinstance(service, Tgt)
    return service


def osd_of(lab: Lab) -> CephOsd:
    service = lab.rig_of(PI.name).services["ceph-osd"]
    assert isinstance(service, CephOsd)
    return service


def edit_cmdline(lab: Lab, old: str, new: str) -> None:
    path = lab.rig_of(PI.name).tftp_root / PI.serial / "cmdline.txt"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def fault(boot: Boot, identity: str) -> Finding:
    assert boot.verdict == "failed(root)", (boot.record.reason, [one.id for one in boot.findings])
    assert boot.findings[0].id == identity, [one.id for one in boot.findings]
    assert boot.findings[0].remedy
    return boot.findings[0]


def up(lab: Lab) -> Board:
    board = lab.board(PI.name)
    boot = board.boot()
    assert boot.verdict == "passed", (boot.record.reason, [one.title for one in boot.findings])
    assert not [one for one in boot.findings if one.severity == "fault"]
    return board


def holds(folder: Path, secret: str) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()}


# What works ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("topology", SECOND)
def test_two_boards_of_different_models_at_once(open_lab: OpenLab, topology: str) -> None:
    pis = (PI, Pi("second", SECOND[topology], 1))
    lab = open_lab(topology, *pis)
    boards = [lab.board(pi.name) for pi in pis]
    with ThreadPoolExecutor(2) as pool:
        boots = list(pool.map(lambda board: board.boot(), boards))
    for boot, board in zip(boots, boards, strict=True):
        assert boot.verdict == "passed", (board.name, boot.record.reason)
        board.shell.run(f"echo {board.name} > /root/whose && sync")
    assert [board.shell.run("cat /root/whose").output for board in boards] == [pi.name for pi in pis]
    for board in boards:
        board.off()


#: Where a root comes from, as the board's kernel tells.
SOURCE = {
    "dnsmasq-iscsi": (
        "cd /sys/class && cat iscsi_session/*/targetname iscsi_connection/*/persistent_address",
        [f"iqn.2026-01.lab.piboot:{PI.serial}", "10.77.0.1"],
    ),
    "ceph-rbd": ("cd /sys/bus/rbd/devices/0 && cat pool name", ["rbd", PI.serial]),
}


@pytest.mark.parametrize("topology", [pytest.param("dnsmasq-iscsi", marks=pytest.mark.slow), "ceph-rbd"])
def test_what_a_board_writes_survives_its_reboot_but_no_power_cycle(open_lab: OpenLab, topology: str) -> None:
    lab = open_lab(topology, PI)
    board = up(lab)
    wanted = lab.server_of(PI.name).expected
    command, source = SOURCE[topology]
    assert board.shell.run(command).output.splitlines() == source
    assert board.shell.run("echo kept > /root/kept && sync").status == 0
    again = board.reboot()
    assert again.verdict == "passed", (again.record.reason, [one.title for one in again.findings])
    assert again.record.root is not None
    assert (again.record.root.source, again.record.root.fstype) == (wanted.root_device, "ext4")
    assert board.shell.run("cat /root/kept").output == "kept"
    assert up(lab).shell.run("cat /root/kept").status != 0, "after a power cycle the root is a clean one"
    board.off()


@pytest.mark.parametrize("topology", [pytest.param("dnsmasq-iscsi", marks=pytest.mark.slow), "ceph-rbd"])
@pytest.mark.slow
def test_the_secret_of_a_boot_is_in_nothing_that_the_run_keeps(open_lab: OpenLab, topology: str) -> None:
    """But for the capture, which is what went over the wire, cmdline.txt in clear text among it."""
    lab = open_lab(topology, PI)
    rig = lab.rig_of(PI.name)
    kind = rig.topology
    assert isinstance(kind, DnsmasqIscsi | CephRbd)
    secret = kind.secret(rig.boards[PI.name]) if isinstance(kind, DnsmasqIscsi) else kind.key
    board = up(lab)
    assert board.shell.run("grep -c '\\*' /proc/cmdline").status != 0, "the board itself has it in clear text"
    board.off()
    assert holds(lab.run.folder, secret) == {"capture.pcapng"}
    cmdline = lab.server_of(PI.name).expected.cmdline or ""
    assert "*" * len(secret) in cmdline


# What fails before the login ----------------------------------------------------------------------------------------------


def test_a_wrong_chap_secret(open_lab: OpenLab) -> None:
    lab = open_lab("dnsmasq-iscsi", PI)
    edit_cmdline(lab, "iscsi_password=", "iscsi_password=x")
    boot = lab.board(PI.name).boot()
    finding = fault(boot, "iscsi-chap-refused")
    assert f"iqn.2026-01.lab.piboot:{PI.serial}" in finding.title
    assert {one.source for one in finding.evidence} == {"packet", "console"}
    assert boot.record.root is not None
    assert (boot.record.root.path, boot.record.root.status) == (f"iqn.2026-01.lab.piboot:{PI.serial}", 0x0201)
    assert boot.milestone("iscsi.refused") is not None


@pytest.mark.slow
def test_an_unknown_target(open_lab: OpenLab) -> None:
    lab = open_lab("dnsmasq-iscsi", PI)
    edit_cmdline(lab, f":{PI.serial} ", ":nobody ")
    finding = fault(lab.board(PI.name).boot(), "iscsi-target-unknown")
    assert ":nobody" in finding.title
    assert f"iqn.2026-01.lab.piboot:{PI.serial}" in finding.remedy


@pytest.mark.slow
def test_nobody_at_the_portal(open_lab: OpenLab) -> None:
    lab = open_lab("dnsmasq-iscsi", HASTY)
    tgt_of(lab).stop()
    finding = fault(lab.board(PI.name).boot(), "iscsi-portal-unreachable")
    assert "10.77.0.1 port 3260" in finding.title


@pytest.mark.slow
def test_a_target_without_its_disk(open_lab: OpenLab) -> None:
    lab = open_lab("dnsmasq-iscsi", HASTY)
    tgt = tgt_of(lab)
    board = lab.board(PI.name)
    viewer = At("dhcp", lambda: tgt.take_disk(f"iqn.2026-01.lab.piboot:{PI.serial}"))
    board.viewer = viewer  # type: ignore[assignment]
    boot = board.boot()
    assert viewer.done.is_set()
    fault(boot, "iscsi-lun-missing")


@pytest.mark.slow
def test_a_key_that_ceph_does_not_know(open_lab: OpenLab) -> None:
    lab = open_lab("ceph-rbd", HASTY)
    kind = lab.rig_of(PI.name).topology
    assert isinstance(kind, CephRbd)
    edit_cmdline(lab, kind.key, CephRbd().key)
    boot = lab.board(PI.name).boot()
    assert "-13" in fault(boot, "ceph-key-refused").title
    assert boot.milestone("rbd.refused") is not None


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [f":rbd:{PI.serial}:", ":rbd:"])
def test_a_volume_or_a_pool_that_is_not_there(open_lab: OpenLab, wrong: str) -> None:
    lab = open_lab("ceph-rbd", HASTY)
    edit_cmdline(lab, wrong, wrong.replace(PI.serial, "nobody") if PI.serial in wrong else ":nobody:")
    assert "nobody" in fault(lab.board(PI.name).boot(), "rbd-volume-missing").title


@pytest.mark.slow
@pytest.mark.parametrize(
    ("service", "identity"), [("ceph-mon", "ceph-mon-unreachable"), ("ceph-osd", "ceph-osd-unreachable")]
)
def test_a_daemon_of_ceph_that_is_down(open_lab: OpenLab, service: str, identity: str) -> None:
    lab = open_lab("ceph-rbd", HASTY)
    board = lab.board(PI.name)
    viewer = At("dhcp", lab.rig_of(PI.name).services[service].stop)
    board.viewer = viewer  # type: ignore[assignment]
    boot = board.boot()
    assert viewer.done.is_set()
    fault(boot, identity)


# What fails after the login -----------------------------------------------------------------------------------------------

#: To the disk and back from it, not from memory.
WRITE = "dd if=/dev/urandom of=/root/there bs=64k count=8 2>/dev/null && sync && md5sum /root/there"
READ = "echo 3 > /proc/sys/vm/drop_caches; md5sum /root/there"


def test_a_board_goes_on_when_its_iscsi_target_is_back(open_lab: OpenLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target is killed, comes back, and takes its time until its disks are there, as one with many disks does."""
    lab = open_lab("dnsmasq-iscsi", PI)
    board = up(lab)
    tgt = tgt_of(lab)
    assert tgt.process is not None
    configure = tgt._configure
    # The board asks every three seconds.
    monkeypatch.setattr(tgt, "_configure", lambda: (time.sleep(4.0), configure()))
    tgt.process.signal(9)
    tgt.process.wait(10)
    back = threading.Timer(5.0, tgt.start)
    back.start()
    try:
        written = board.shell.run(WRITE, timeout=120)
    finally:
        back.join()
    assert written.status == 0, written.output
    assert board.shell.run(READ, timeout=60).output == written.output
    assert "LOGGED_IN" in board.shell.run("iscsiadm -m session -P1", timeout=60).output
    # Once when iscsid took the session over, once when the target was killed; a kill in the midst of the former is one with it.
    said = board.shell.run("dmesg | grep 'connection1:0: detected conn error'", timeout=60).output.splitlines()
    assert len(said) in (1, 2), said
    assert board.shell.run("grep ' / ' /proc/mounts").output.split()[3].startswith("rw")
    board.off()


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memstore", "bluestore"])
def test_a_board_goes_on_when_cephs_osd_is_back(open_lab: OpenLab, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    """Ended in order, as memory wants it; on a disk, as OSDs are, it is killed."""
    monkeypatch.setattr(CephRbd, "store", store)
    lab = open_lab("ceph-rbd", PI)
    board = up(lab)
    osd = osd_of(lab)
    assert osd.process is not None
    if store == "bluestore":
        osd.process.signal(9)
        osd.process.wait(10)
    else:
        osd.stop()
    back = threading.Timer(5.0, osd.start)
    back.start()
    try:
        written = board.shell.run(WRITE, timeout=120)
    finally:
        back.join()
    assert written.status == 0, written.output
    assert board.shell.run(READ, timeout=60).output == written.output
    said = board.shell.run("dmesg | grep 'libceph: osd0'", timeout=60).output
    assert "socket closed" in said
    board.off()
