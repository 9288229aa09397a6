# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings of roots on block devices over the network: iSCSI and Ceph RBD.

iSCSI's login statuses: RFC 7143, 11.13.5; the texts are open-iscsi's. Ceph's errors are Linux's: -13 EACCES, -1 EPERM.
"""

from collections.abc import Callable, Iterator

from harness.boot.facts import Facts, line
from harness.boot.record import Finding

_STAGES = {"initramfs", "root"}
#: Login statuses (class * 256 + detail) and what a person changes.
LOGIN_STATUS = {
    0x0200: ("it takes the request for wrong", "compare the initiator's settings with what the target offers"),
    0x0201: (
        "the CHAP name or secret is wrong",
        "compare iscsi_username= and iscsi_password= (cmdline.txt) with the target's account (tgt: incominguser)",
    ),
    0x0202: (
        "this initiator may not log in",
        "let the target take the initiator's name (iscsi_initiator=) or address (tgt: initiator-address, initiator-name)",
    ),
    0x0203: (
        "there is no such target",
        "compare iscsi_target_name= (cmdline.txt) with the server's targets (tgtadm --lld iscsi --op show --mode target)",
    ),
    0x0301: ("it is out of service for now", "see the target's log, and its State (tgtadm --op show --mode sys)"),
}
_CHAP_TEXT = ("authenticat", "02/01")
_TARGET_TEXT = ("target not found", "02/03")


def iscsi_login(facts: Facts) -> Iterator[Finding]:
    """The target refused the board, by what the wire shows, or by what iscsistart says."""
    if facts.failed not in _STAGES:
        return
    refused = list(facts.seen("iscsi.refused"))
    root = facts.root
    status = root.status if root is not None and root.protocol == "iscsi" else None
    if not status:
        text = refused[0].text if refused else ""
        status = next(
            (
                number
                for number, words in ((0x0201, _CHAP_TEXT), (0x0203, _TARGET_TEXT))
                if any(word in text for word in words)
            ),
            0x0200 if refused else None,
        )
    if not status:
        return
    login = facts.first("iscsi.login")
    target = (root.path if root is not None else None) or (login.fields["target"] if login else "the target")
    server = (root.server if root is not None else None) or (login.fields["server"] if login else "the server")
    why, remedy = LOGIN_STATUS.get(status, (f"status {status:#06x}", "see the target's log"))
    wanted = facts.expectation.server.root_source
    expected = f"; expected: {wanted}" if wanted and status == 0x0203 else ""
    yield Finding(
        id={0x0201: "iscsi-chap-refused", 0x0203: "iscsi-target-unknown"}.get(status, "iscsi-login-refused"),
        title=f"the iSCSI target {server} refused {target}: {why}",
        stage="root",
        who="server",
        remedy=remedy + expected,
        evidence=(*(root.evidence if root is not None else ()), *(line(m) for m in refused[:2])),
    )


def iscsi_silent(facts: Facts) -> Iterator[Finding]:
    """Nobody answers at the portal."""
    away = list(facts.seen("iscsi.unreachable"))
    if facts.failed not in _STAGES or facts.first("iscsi.session") or facts.first("iscsi.refused"):
        return
    asked = away[0] if away else facts.first("iscsi.login")
    if asked is None:
        return
    yield Finding(
        id="iscsi-portal-unreachable",
        title=f"no iSCSI target answers at {asked.fields['server']} port {asked.fields['port']}",
        stage="root",
        who="server",
        remedy="check that the target runs (tgtd), that iscsi_target_ip= (cmdline.txt) is its address, and no firewall "
        "is between",
        evidence=(*(facts.root.evidence if facts.root is not None else ()), line(asked), *(line(m) for m in away[1:2])),
    )


def no_disk(facts: Facts) -> Iterator[Finding]:
    """Logged in, and no disk came: the LUN is missing, or only the controller (LUN 0) is there."""
    session = facts.first("iscsi.session")
    if facts.failed not in _STAGES or session is None or facts.first("scsi.disk") is not None:
        return
    yield Finding(
        id="iscsi-lun-missing",
        title=f"the board logged in to {session.fields['target']}, but there is no disk behind it",
        stage="root",
        who="server",
        remedy="give the target a LUN with the board's disk (tgt: backing-store), and see in its log whether it could be opened",
        evidence=(line(session),),
    )


def rbd_refused(facts: Facts) -> Iterator[Finding]:
    """Ceph's monitor does not take the board's name or key."""
    refused = facts.first("rbd.refused")
    if refused is not None and facts.failed in _STAGES:
        yield Finding(
            id="ceph-key-refused",
            title=f"the Ceph monitor refused the board's name or key ({refused.fields['error']})",
            stage="root",
            who="server",
            remedy="compare user and key in rbdroot= (cmdline.txt) with `ceph auth get client.USER`; it needs mon and osd "
            "capabilities `profile rbd`",
            evidence=(line(refused),),
        )


def rbd_silent(facts: Facts) -> Iterator[Finding]:
    """No monitor answers."""
    if facts.failed not in _STAGES or facts.first("rbd.session") or facts.first("rbd.refused"):
        return
    root = facts.root
    said = list(facts.seen("rbd.loaded", "rbd.no_answer", "rbd.map_failed"))[:3]
    if not said:
        return
    yield Finding(
        id="ceph-mon-unreachable",
        title=f"no Ceph monitor answers{f' at {root.server}' if root is not None and root.server else ''}",
        stage="root",
        who="server",
        remedy="check that the monitors run (`ceph -s` there), that the address in rbdroot= (cmdline.txt) is theirs, and that no "
        "firewall is before ports 6789 and 3300",
        evidence=(*(root.evidence if root is not None else ()), *(line(m) for m in said)),
    )


def rbd_missing(facts: Facts) -> Iterator[Finding]:
    """The monitor knows the board, the pool or the volume is not there."""
    missing, failed = facts.first("rbd.missing"), facts.first("rbd.map_failed")
    if facts.failed not in _STAGES or missing is None:
        return
    volume = failed.fields["volume"] if failed is not None else "the volume"
    wanted = facts.expectation.server.root_source
    yield Finding(
        id="rbd-volume-missing",
        title=f"Ceph has no volume {volume}",
        stage="root",
        who="server",
        remedy="compare pool and image in rbdroot= (cmdline.txt) with `rbd ls POOL`"
        + (f"; expected: {wanted.partition(':')[2]}" if wanted else ""),
        evidence=tuple(line(m) for m in (missing, failed) if m is not None),
    )


def rbd_stuck(facts: Facts) -> Iterator[Finding]:
    """The monitor answers, the volume is there or not: no OSD says."""
    session = facts.first("rbd.session")
    known = ("rbd.mapped", "rbd.missing", "rbd.refused")
    if facts.failed not in _STAGES or session is None or any(facts.first(name) for name in known):
        return
    yield Finding(
        id="ceph-osd-unreachable",
        title="the Ceph monitor answers, but the volume is not mapped: its OSDs do not answer",
        stage="root",
        who="server",
        remedy="see `ceph -s` and `ceph osd tree`: which OSDs are down, which placement groups not active; no firewall may be "
        "before ports 6800 to 7568 of the OSDs",
        evidence=(line(session), *(line(m) for m in list(facts.seen("rbd.no_answer", "rbd.osd"))[:2])),
    )


def storage_health(facts: Facts) -> Iterator[Finding]:
    """What a board survived, and its owner wants to know."""
    lock = facts.first("rbd.lock")
    if lock is not None:
        yield Finding(
            id="rbd-lock-held",
            title="the volume was locked by the board's last boot, and Ceph gave it back only half a minute later",
            stage="root",
            who="server",
            remedy="after a power cut that is normal with exclusive-lock: `rbd feature disable POOL/IMAGE exclusive-lock` for a "
            "volume that one board alone uses, or `ceph osd blocklist add ADDRESS` for its old address (`rbd status`)",
            severity="warning",
            evidence=(line(lock),),
        )
    gone = next((m for m in facts.seen("iscsi.error") if "recovery timed out" in m.text), None)
    if gone is not None:
        yield Finding(
            id="iscsi-session-lost",
            title="the iSCSI session was lost and not taken up again in its time: the disk is gone",
            stage="root",
            who="server",
            remedy="see the target's log; a board whose iscsid runs takes up a session that is back within "
            "node.session.timeo.replacement_timeout seconds, unless a target that was starting let it in and hung up (tgtd does "
            "while it has no target: open its portal last)",
            severity="warning",
            evidence=(line(gone),),
        )


BLOCK_RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    iscsi_login,
    iscsi_silent,
    no_disk,
    rbd_refused,
    rbd_silent,
    rbd_missing,
    rbd_stuck,
    storage_health,
)
