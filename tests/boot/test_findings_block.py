# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots on iSCSI and RBD that did not come: the cause by its name, with evidence and what to change."""

import pytest

from harness.boot.events import Ended, Event, IscsiLogin, RootConnect
from harness.boot.judge import judge
from harness.boot.record import BootRecord, Finding
from harness.console.milestones import Milestones
from tests.boot.stream import SERVER, T0, expectation, files, line, network, power_on

TARGET = "iqn.2026-01.lab.piboot:91cdf03d"
LOGIN = f"iscsistart: Logging into {TARGET} {SERVER}:3260,1"
SHELL = "ALERT!  /dev/sda does not exist.  Dropping to a shell!"
LOADED = "[    2.569771] rbd: loaded (major 254)"
SESSION = "[    2.777191] libceph: mon0 (1)10.77.0.1:6789 session established"


def said(*lines: str) -> list[Event]:
    milestones = Milestones()
    return [m for at, text in enumerate(lines) for m in milestones.feed_line(T0 + 13.0 + at / 10, 91 + at, text)]


def judged(*events: Event, until: float = 90.0) -> BootRecord:
    kernel = [line(8.0, 40, "kernel.start"), line(10.0, 80, "kernel.init"), line(12.0, 90, "initramfs.mount_root")]
    end = Ended(t=T0 + until, reason="deadline")
    return judge(expectation(), [*power_on(), *network(), *files(), *kernel, *events, end])


def connect(protocol: str, port: int) -> RootConnect:
    return RootConnect(T0 + 12.9, 900, protocol, SERVER, port)


def login(status: int, t: float = 13.0, packet: int = 905) -> IscsiLogin:
    return IscsiLogin(T0 + t, packet, SERVER, TARGET, status)


def cause(record: BootRecord, identity: str) -> Finding:
    assert record.verdict == "failed(root)", record.reason
    finding = record.findings[0]
    assert finding.id == identity, [one.id for one in record.findings]
    assert finding.remedy
    assert finding.evidence
    assert record.reason == finding.title
    return finding


def test_a_good_login_is_the_root_of_the_record() -> None:
    record = judged(connect("iscsi", 3260), login(0), *said("[ 5.957724] EXT4-fs (sda): mounted"), until=20)
    assert record.root is not None
    assert (record.root.protocol, record.root.server, record.root.path, record.root.status) == (
        "iscsi",
        SERVER,
        TARGET,
        0,
    )


def test_a_mounted_block_device_ends_the_root_stage() -> None:
    record = judged(*said("[    5.957724] EXT4-fs (sda): mounted filesystem with ordered data mode."), until=20)
    assert record.stage("root").verdict == "passed"
    assert record.stage("root").evidence[-1].ref == 91


@pytest.mark.parametrize("wire", [True, False])
def test_chap_refused(wire: bool) -> None:
    """By the wire, and by the console alone; it is not waited for the disk that will not come."""
    seen = [connect("iscsi", 3260), login(0x0201), login(0x0201, 14.0, 950)] if wire else []
    rejected = "iscsistart: session 1 login rejected: Initiator failed authentication with target"
    record = judged(*seen, *said(LOGIN, rejected, LOGIN, rejected))
    finding = cause(record, "iscsi-chap-refused")
    assert TARGET in finding.title
    assert "iscsi_password=" in finding.remedy
    assert "2 times" in record.stage("root").note


@pytest.mark.parametrize("wire", [True, False])
def test_no_such_target(wire: bool) -> None:
    seen = [connect("iscsi", 3260), login(0x0203), login(0x0203, 14.0, 950)] if wire else []
    rejected = "iscsistart: connection1:0 login rejected: initiator error - target not found (02/03)"
    finding = cause(judged(*seen, *said(LOGIN, rejected, LOGIN, rejected)), "iscsi-target-unknown")
    assert f"{SERVER}:/srv/nfs/91cdf03d" in finding.remedy  # what this lab expects


def test_a_login_that_is_refused_once_and_then_taken_is_no_fault() -> None:
    record = judged(
        connect("iscsi", 3260),
        login(0x0301),
        login(0, 14.0),
        *said("[    5.957724] EXT4-fs (sda): mounted filesystem"),
        until=20,
    )
    assert record.stage("root").verdict == "passed"
    assert all(finding.severity == "warning" for finding in record.findings if finding.stage == "root")


@pytest.mark.parametrize("said_so", ["iscsistart: cannot make a connection to 10.77.0.1:3260 (-1,111)", ""])
def test_nobody_at_the_portal(said_so: str) -> None:
    finding = cause(judged(*said(LOGIN, said_so)), "iscsi-portal-unreachable")
    assert "10.77.0.1 port 3260" in finding.title


def test_a_target_without_a_disk() -> None:
    where = f"[target: {TARGET}, portal: {SERVER},3260] through [iface: default]"
    session = f"iscsistart: Connection1:0 to {where} is operational now"
    record = judged(connect("iscsi", 3260), login(0), *said(LOGIN, session, SHELL))
    assert cause(record, "iscsi-lun-missing").evidence[0].ref == 92


def test_a_key_that_the_monitor_does_not_take() -> None:
    refused = "[    2.8] x", "[    2.859124] libceph: auth protocol 'cephx' mauth authentication failed: -13"
    finding = cause(judged(connect("ceph", 6789), *said(LOADED, *refused)), "ceph-key-refused")
    assert "rbdroot=" in finding.remedy


@pytest.mark.parametrize(
    "why", ["[    9.100000] libceph: mon0 (1)10.77.0.1:6789 socket closed (con state CONNECTING)", ""]
)
def test_no_monitor(why: str) -> None:
    finding = cause(judged(connect("ceph", 6789), *said(LOADED, why)), "ceph-mon-unreachable")
    assert "10.77.0.1" in finding.title


def test_no_volume() -> None:
    missing = "sh: write error: No such file or directory"
    failed = "rbd: mapping of rbd/nobody failed"
    record = judged(connect("ceph", 6789), *said(LOADED, SESSION, missing, failed, missing, failed, missing, failed))
    assert "rbd/nobody" in cause(record, "rbd-volume-missing").title
    assert "3 times" in record.stage("root").note


def test_an_osd_that_is_down() -> None:
    record = judged(connect("ceph", 6789), *said(LOADED, SESSION, "[    9.100000] libceph: osd0 down"))
    assert len(cause(record, "ceph-osd-unreachable").evidence) == 2


def test_a_volume_that_was_locked_is_a_warning() -> None:
    lines = (
        LOADED,
        SESSION,
        "[    9.100000] rbd: rbd0: no lock owners detected",
        "[   29.100000] rbd: rbd0: capacity 1 features 0x5",
    )
    (finding,) = [one for one in judged(*said(*lines)).findings if one.id == "rbd-lock-held"]
    assert finding.severity == "warning"


def test_a_session_that_was_lost_for_good_is_told() -> None:
    record = judged(*said("[  130.000000]  session1: session recovery timed out after 120 secs"))
    assert "iscsi-session-lost" in [one.id for one in record.findings]
