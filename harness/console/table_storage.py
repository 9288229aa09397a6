# SPDX-License-Identifier: GPL-2.0-or-later
"""Milestones of a root on a block device over the network: iSCSI (open-iscsi, Linux) and Ceph RBD (krbd, libceph).

Sources: open-iscsi 2.1.8, Linux 6.1 and 6.12, tgt 1.0.85 and Ceph 16.2.15 as counterparts. Debian's script logs in twice: that
the second says "session exists" (error 15) is no error.
"""

from harness.console.rule import Rule, rule

_PORTAL = r"(?P<server>[\d.]{7,15})"
_MON = r"(?:mon|osd)\d{1,3} (?:\(\d\))?[\d.]{7,15}:\d{1,5}"

ISCSI: tuple[Rule, ...] = (
    rule(
        "iscsi.login",
        "Logging into",
        rf"iscsistart: Logging into (?P<target>\S{{1,223}}) {_PORTAL}:(?P<port>\d{{1,5}})",
        "open-iscsi",
    ),
    rule(
        "iscsi.session",
        "operational now",
        rf"iscsistart: Connection\S{{1,12}} to \[target: (?P<target>[^,]{{1,223}}), portal: {_PORTAL},(?P<port>\d{{1,5}})\]"
        r".{0,80}is operational now",
        "open-iscsi",
    ),
    rule(
        "iscsi.refused",
        "login rejected: ",
        r"iscsistart: (?:session \d{1,6}|connection\S{1,12}) login rejected: (?P<text>.{1,120})",
        "open-iscsi",
    ),
    rule(
        "iscsi.unreachable",
        "cannot make a connection",
        rf"iscsistart: cannot make a connection to {_PORTAL}:(?P<port>\d{{1,5}})(?: \((?P<text>[^)]{{1,40}})\))?",
        "open-iscsi",
    ),
    rule(
        "iscsi.error",
        "iscsi",
        r"(?P<text>iscsistart: (?!.{0,80}\(15 - ).{0,80}(?:error|fail|cannot|can not|timed out).{0,120})",
        "open-iscsi",
    ),
    rule(
        "iscsi.error", "session recovery timed out", r"(?P<text>.{0,60}session recovery timed out.{0,60})", "iscsi_tcp"
    ),
    rule("iscsi.lost", "detected conn error", r"(?P<text>.{0,60}detected conn error \(\d{1,6}\))", "iscsi_tcp"),
    rule(
        "scsi.disk",
        "Attached SCSI disk",
        r"sd (?P<address>[\d:]{7,20}): \[(?P<device>sd[a-z]{1,3})\] Attached SCSI disk",
        "Linux",
    ),
)

RBD: tuple[Rule, ...] = (
    rule("rbd.loaded", "rbd: loaded", r"rbd: loaded(?: \(major \d{1,5}\))?", "krbd"),
    rule(
        "rbd.session",
        "session established",
        rf"libceph: mon\d{{1,3}} (?:\(\d\))?{_PORTAL}:\d{{1,5}} session established",
    ),
    rule(
        "rbd.mapped",
        ": capacity ",
        r"rbd: (?P<device>rbd\d{1,4}): capacity (?P<bytes>\d{1,20}) features (?P<features>0x[0-9a-f]{1,16})",
        "krbd",
    ),
    rule(
        "rbd.refused",
        "authentication failed: ",
        r"libceph: auth (?:protocol|method) '(?P<method>\w{1,16})' (?:mauth )?authentication failed: (?P<error>-?\d{1,5})",
        "libceph",
    ),
    rule(
        "rbd.no_answer",
        "libceph: ",
        rf"libceph: (?P<text>{_MON} (?:socket (?:closed|error)|connect error).{{0,60}})",
        "libceph",
    ),
    rule("rbd.osd", "libceph: osd", r"libceph: osd(?P<osd>\d{1,5}) (?P<state>down|up|weight .{1,20})$", "libceph"),
    rule(
        "rbd.missing",
        "write error: ",
        r".{0,80}write error: (?P<text>No such file or directory)",
        "busybox' and klibc's echo into /sys/bus/rbd/add",
    ),
    rule("rbd.map_failed", "rbd: mapping of", r"rbd: mapping of (?P<volume>\S{1,200}) failed", "harness.images.rbd"),
    rule("rbd.lock", "no lock owners detected", r"rbd: (?P<device>rbd\d{1,4}): no lock owners detected", "krbd"),
    rule("rbd.error", "rbd: ", r"(?P<text>rbd: .{0,80}(?:fail|error|timed out).{0,120})", "krbd"),
    rule("rbd.error", "libceph: ", r"(?P<text>libceph: .{0,80}(?:wrong|fail|error|timed out).{0,120})", "libceph"),
)

ROOT: tuple[Rule, ...] = (
    rule(
        "root.mounted",
        "EXT4-fs (",
        r"EXT4-fs \((?P<device>(?:sd[a-z]|rbd\d|nbd\d|nvme\d)\w{0,12})\): mounted filesystem",
        "Linux",
    ),
)

RULES: tuple[Rule, ...] = ISCSI + RBD + ROOT
