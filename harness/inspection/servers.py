# SPDX-License-Identifier: GPL-2.0-or-later
"""Knocks at a netboot server of the user's own, with what disturbs nobody: a file that is not there, a connection without words.

Its DHCP is not asked: to a DISCOVER it would lease an address.
"""

import secrets
import socket
import struct
import time
from contextlib import suppress
from dataclasses import replace

from harness.config import ExternalServer
from harness.config.roots import NfsRoot
from harness.inspection.seen import Seen

_TFTP, _NFS = 69, 2049
_ANSWER, _TRIES = 2.0, 3
#: Opcodes (RFC 1350).
_RRQ, _DATA, _ERROR = 1, 3, 5


def look_at_server(server: ExternalServer, row: Seen, *, tftp_port: int = _TFTP, nfs_port: int = _NFS) -> Seen:
    """TFTP by asking for a file that nobody has; NFS by a TCP connection."""
    parts: list[str] = []
    missing: list[str] = []
    if server.tftp is not None:
        said = ask_tftp(server.tftp.address, tftp_port)
        if said is None:
            missing.append(f"no answer by TFTP from {server.tftp.address} within {_ANSWER * _TRIES:g} s")
        else:
            parts.append(f"TFTP answers ({said})")
    if isinstance(server.root, NfsRoot):
        host = server.root.source.partition(":")[0]
        try:
            socket.create_connection((host, nfs_port), _ANSWER).close()
            parts.append("NFS listens")
        except OSError as error:
            missing.append(f"no NFS at {host}: {error.strerror or error}")
    note = ["DHCP is not asked: it would lease an address"] if server.dhcp else []
    if not server.tftp and not server.root:
        return replace(row, state="; ".join(note) or "nothing of it is described")
    if missing:
        fix = "is the server up, and does this host reach the boards' network? a firewall may let the boards through, and not us"
        # A host that is not in the boards' network may still see their packets on a mirror port.
        return replace(row, reachable=False if not parts else None, state="; ".join([*missing, *parts, *note]), fix=fix)
    return replace(row, reachable=True, state="; ".join([*parts, *note]))


def ask_tftp(address: str, port: int = _TFTP) -> str | None:
    """What a TFTP server answers to a read request for a file that it does not have; None when it does not answer."""
    name = f"piboot-check-{secrets.token_hex(4)}"
    request = struct.pack("!H", _RRQ) + name.encode() + b"\0octet\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(0.1)
        for _ in range(_TRIES):
            with suppress(OSError):
                line.sendto(request, (address, port))
            deadline = time.monotonic() + _ANSWER
            while time.monotonic() < deadline:
                try:
                    answer, (source, _) = line.recvfrom(2048)
                except OSError:
                    continue
                if source != address or len(answer) < 4:
                    continue
                code, detail = struct.unpack_from("!HH", answer)
                if code == _ERROR:
                    text = answer[4:].split(b"\0")[0].decode("ascii", "backslashreplace")
                    return text[:80] or f"error {detail}"
                if code == _DATA:
                    return "it serves whatever is asked for"
    return None
