# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks an iSCSI portal for its targets (SendTargets), and whether it knows the board's (RFC 7143). No login to a target is
finished: neither a secret is needed, nor a session of the board's disturbed.
"""

import os
import socket
import struct
from collections.abc import Iterator

from harness.boot.findings_block import LOGIN_STATUS
from harness.inspection.netboot.seen import Point
from harness.servers.services.exactly import exactly

PORT = 3260
NAME = "iqn.2026-01.lab.piboot:check"
_TIMEOUT = 3.0
_BHS = 48
_LOGIN, _TEXT, _LOGIN_ANSWER, _TEXT_ANSWER = 0x43, 0x04, 0x23, 0x24
_SECURITY, _OPERATIONAL, _FULL = 0, 1, 3
_LONGEST, _MOST_PDUS = 1 << 16, 64


class NotIscsiError(OSError):
    """What answers speaks something else."""


def look(portal: str, port: int, target: str, initiator: str | None) -> Iterator[Point]:
    """target: the board's. Never raises for what the portal says."""
    what = f"iSCSI portal {portal}" + (f":{port}" if port != PORT else "")
    found: list[str] = []
    try:
        with _Session(portal, port, initiator or NAME) as session:
            status = session.discover(found)
    except OSError as error:
        said = f"no iSCSI target answers at port {port}: {error.strerror or error}"
        yield Point(
            what, "fault", said, "check that the target runs (tgtd, targetcli), and that no firewall is between"
        )
        return
    if status:
        # Discovery may want a login of its own, or another initiator's name: the board needs none.
        yield Point(what, "note", f"it answers, but does not list its targets here: {_why(status)[0]}")
    else:
        listed = ", ".join(found[:6]) + (", …" if len(found) > 6 else "") or "none to us"
        yield Point(what, "ok", f"lists {len(found)} target{'' if len(found) == 1 else 's'}: {listed}")
    yield from _target(portal, port, target, initiator)


def _target(portal: str, port: int, target: str, initiator: str | None) -> Iterator[Point]:
    what = f"target {target}"
    try:
        with _Session(portal, port, initiator or NAME) as session:
            status, words = session.login({"SessionType": "Normal", "TargetName": target, "AuthMethod": "CHAP,None"})
    except OSError as error:
        yield Point(
            what, "fault", f"the portal hung up on a login to it: {error.strerror or error}", "see the target's log"
        )
        return
    if status == 0:
        chap = words.get("AuthMethod") == "CHAP"
        yield Point(
            what, "ok", f"it is there, and {'wants CHAP' if chap else 'wants no CHAP'}; the login was not finished"
        )
    elif status == 0x0202 and initiator is None:
        yield Point(what, "note", "it is there, and only for certain initiators: describe the board's as initiator:")
    elif status >> 8 == 1:
        yield Point(what, "note", "it is there, and refers to another portal")
    else:
        why, fix = _why(status)
        yield Point(what, "fault", f"the portal refuses it: {why}", fix)


def _why(status: int) -> tuple[str, str]:
    return LOGIN_STATUS.get(status, (f"status {status:#06x}", "see the target's log"))


class _Session:
    """A connection, up to what it is needed for."""

    def __init__(self, portal: str, port: int, initiator: str) -> None:
        self._sock = socket.create_connection((portal, port), _TIMEOUT)
        self._initiator = initiator
        # A session identifier of our own (a random one: RFC 7143, 11.12.5), so that no session is taken for another.
        self._isid = b"\x80" + os.urandom(5)
        self._expected = 0

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def login(
        self, words: dict[str, str], *, stage: int = _SECURITY, to: int | None = None
    ) -> tuple[int, dict[str, str]]:
        """One step; gives the status and what was answered. to: the stage to go on to."""
        if stage == _SECURITY:
            words = {"InitiatorName": self._initiator, **words}
        flags = stage << 2 | (0 if to is None else 0x80 | to)
        head, text = self._exchange(_LOGIN, flags, struct.pack(">6sHI", self._isid, 0, 1), words, _LOGIN_ANSWER)
        return int.from_bytes(head[36:38]), _pairs(text)

    def discover(self, found: list[str]) -> int:
        """Adds the names of the targets that the portal lists; gives the login's status."""
        status, _ = self.login({"SessionType": "Discovery", "AuthMethod": "None"}, to=_OPERATIONAL)
        if status == 0:
            status, _ = self.login({"MaxRecvDataSegmentLength": str(_LONGEST)}, stage=_OPERATIONAL, to=_FULL)
        if status:
            return status
        # An initiator task tag, and no target transfer tag (all ones).
        middle = struct.pack(">8xI", 2)
        _, text = self._exchange(_TEXT, 0x80, middle, {"SendTargets": "All"}, _TEXT_ANSWER, tag=0xFFFFFFFF)
        names = [
            word[11:].decode("utf-8", "backslashreplace")
            for word in text.split(b"\0")
            if word.startswith(b"TargetName=")
        ]
        found += dict.fromkeys(names)
        return 0

    def _exchange(
        self, opcode: int, flags: int, middle: bytes, words: dict[str, str], wanted: int, tag: int = 0
    ) -> tuple[bytes, bytes]:
        """Sends a PDU of words, gives header and text of the answer; its parts are put together."""
        text = b"".join(f"{name}={value}".encode() + b"\0" for name, value in words.items())
        head = struct.pack(">BBBBB3s", opcode, flags, 0, 0, 0, len(text).to_bytes(3)) + middle
        head += struct.pack(">III16x", tag, 1, self._expected)
        self._sock.sendall(head[:_BHS] + text + bytes(-len(text) % 4))
        whole = b""
        for _ in range(_MOST_PDUS):
            answer = exactly(self._sock, _BHS, NotIscsiError)
            size = int.from_bytes(answer[5:8])
            if answer[0] & 0x3F != wanted or size > _LONGEST or len(whole) > _LONGEST:
                raise NotIscsiError("it does not answer as an iSCSI target does")
            whole += exactly(self._sock, size + -size % 4, NotIscsiError)[:size]
            self._expected = int.from_bytes(answer[24:28]) + 1 & 0xFFFFFFFF
            if not answer[1] & 0x40:  # C: the text goes on in the next one
                return answer, whole
        raise NotIscsiError("its answer does not end")


def _pairs(text: bytes) -> dict[str, str]:
    words = (word.decode("utf-8", "backslashreplace").partition("=") for word in text.split(b"\0"))
    return {name: value for name, _, value in words if name}
