# SPDX-License-Identifier: GPL-2.0-or-later
"""Tries a wire: the capture is started as for a boot, says that it listens, and ends. No packet is kept."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from harness.clock import now
from harness.config import InterfaceWire, SshWire
from harness.inspection.seen import Seen
from harness.lab.captures import capture_of, ssh_host
from harness.wire.hostclock import clock_of

#: Seconds for a program that only tells its version.
_VERSION = 20.0

_ASK = 'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" tcpdump --version 2>&1 | head -n 2; uname -sr'


def look_at_wire(wire: InterfaceWire | SshWire, mac: str, row: Seen) -> Seen:
    """mac: of a board on it. Raises as captures do on entry."""
    begin = now()
    opened = capture_of(wire, mac)
    assert opened is not None  # noqa: S101 - it is one of these two kinds
    with tempfile.TemporaryDirectory(prefix="piboot-check-") as name:
        with opened(Path(name), lambda _event: None, lambda _error: None):
            pass
        clock = clock_of(Path(name))
    state = f"listened after {now() - begin:.1f} s"
    if isinstance(wire, SshWire):
        row = replace(row, identity=_version(ssh_host(wire).argv(["sh", "-c", _ASK])))
        if clock is not None:
            state += f"; its clock is {clock.offset_s * 1000:+.1f} ms ± {clock.uncertainty_s * 1000:.1f} ms from ours"
    else:
        path = shutil.which("tcpdump", path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
        row = replace(row, identity=_version([path or "tcpdump", "--version"]))
        if wire.namespace is None:
            state += _link(wire.interface)
    return replace(row, reachable=True, rights=True, state=state)


def _version(argv: Sequence[str]) -> str:
    """What it prints, in one line; "" when it does not."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_VERSION,
            check=False,
        )
        lines = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if "OpenSSL" not in line]
        return ", ".join(lines)
    return ""


def _link(interface: str) -> str:
    with suppress(OSError, ValueError):
        speed = int(Path(f"/sys/class/net/{interface}/speed").read_text(encoding="ascii"))
        if speed > 0:
            return f"; link at {speed} Mbit/s"
    return ""
