# SPDX-License-Identifier: GPL-2.0-or-later
"""What consoles say of roots on iSCSI and RBD, as Linux 6.1, open-iscsi 2.1.8 and the scripts of the initramfs printed it."""

import pytest

from harness.console.milestones import Milestones

TARGET = "iqn.2026-01.lab.piboot:91cdf03d"
LOGIN = "iscsistart: Logging into iqn.2026-01.lab.piboot:91cdf03d 10.77.0.1:3260,1"
SESSION = (
    "iscsistart: Connection1:0 to [target: iqn.2026-01.lab.piboot:91cdf03d, portal: 10.77.0.1,3260] "
    "through [iface: default] is operational now"
)


@pytest.mark.parametrize(
    ("line", "name", "fields"),
    [
        (LOGIN, "iscsi.login", {"target": TARGET, "server": "10.77.0.1", "port": "3260"}),
        (SESSION, "iscsi.session", {"target": TARGET, "server": "10.77.0.1"}),
        (SESSION.replace("operational now", "shutdown."), "", {}),
        (
            "iscsistart: session 1 login rejected: Initiator failed authentication with target",
            "iscsi.refused",
            {"text": "Initiator failed authentication with target"},
        ),
        (
            "iscsistart: connection1:0 login rejected: initiator error - target not found (02/03)",
            "iscsi.refused",
            {"text": "initiator error - target not found (02/03)"},
        ),
        ("iscsistart: initiator reported error (15 - session exists)", "", {}),
        (
            "iscsistart: initiator reported error (19 - encountered non-retryable iSCSI login failure)",
            "iscsi.error",
            {},
        ),
        (
            "iscsistart: cannot make a connection to 10.77.0.1:3260 (-1,111)",
            "iscsi.unreachable",
            {"server": "10.77.0.1", "port": "3260", "text": "-1,111"},
        ),
        ("[    7.316518]  connection1:0: detected conn error (1020)", "iscsi.lost", {}),
        ("[  130.000000]  session1: session recovery timed out after 120 secs", "iscsi.error", {}),
        ("[    5.627905] sd 0:0:0:1: [sda] Attached SCSI disk", "scsi.disk", {"address": "0:0:0:1", "device": "sda"}),
        (
            "[    5.957724] EXT4-fs (sda): mounted filesystem with ordered data mode. Quota mode: none.",
            "root.mounted",
            {"device": "sda"},
        ),
        (
            "[    2.1] x [    3.021101] EXT4-fs (rbd0): mounted filesystem 6a1c r/w with ordered data mode.",
            "",
            {},
        ),
        ("[    3.021101] EXT4-fs (mmcblk0p2): mounted filesystem with ordered data mode.", "", {}),
        ("[    2.569771] rbd: loaded (major 254)", "rbd.loaded", {}),
        ("[    2.777191] libceph: mon0 (1)10.77.0.3:6789 session established", "rbd.session", {"server": "10.77.0.3"}),
        ("[    2.788960] libceph: client4122 fsid 252b9c48-42fc-4c51-82e6-d97dbc8e822b", "", {}),
        (
            "[    2.859124] rbd: rbd0: capacity 67108864 features 0x1",
            "rbd.mapped",
            {"device": "rbd0", "bytes": "67108864", "features": "0x1"},
        ),
        (
            "[    2.859124] libceph: auth protocol 'cephx' mauth authentication failed: -13",
            "rbd.refused",
            {"method": "cephx", "error": "-13"},
        ),
        ("[    2.859124] libceph: auth method 'x' error -1", "rbd.error", {}),
        ("[    9.100000] libceph: mon0 (1)10.77.0.3:6789 socket closed (con state OPEN)", "rbd.no_answer", {}),
        ("[    9.100000] libceph: osd0 (1)10.77.0.3:6801 socket error on write", "rbd.no_answer", {}),
        ("[    9.100000] libceph: osd0 down", "rbd.osd", {"osd": "0", "state": "down"}),
        ("rbd: mapping of rbd/91cdf03d failed", "rbd.map_failed", {"volume": "rbd/91cdf03d"}),
        ("[    9.100000] rbd: rbd0: no lock owners detected", "rbd.lock", {"device": "rbd0"}),
        ("sh: write error: No such file or directory", "rbd.missing", {}),
        ("rbd: sysfs write failed", "rbd.error", {}),
    ],
)
def test_a_line(line: str, name: str, fields: dict[str, str]) -> None:
    first, *_ = [*Milestones().feed_line(1.0, 1, line), None]
    assert (first.name if first is not None else "") == name
    assert first is None or {key: first.fields[key] for key in fields} == fields
