# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures of one boot, by where the wire is: on this host, in one of its namespaces, on another host, in the emulated lab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.board.gear import Emit, Fail
from harness.config import InterfaceWire, SshWire
from harness.urgency import hurried

if TYPE_CHECKING:
    from harness.servers import Rig
    from harness.wire.process import Process
    from harness.wire.ssh import SshHost

Opener = Callable[[Path, Emit, Fail], AbstractContextManager[object]]


def capture_of(wire: object, mac: str) -> Opener | None:
    """How a real board's packets are captured; None when lab.yaml names no wire for it."""
    if isinstance(wire, InterfaceWire):
        return local_capture(wire, mac)
    if isinstance(wire, SshWire):
        return ssh_capture(wire, mac)
    return None


def local_capture(wire: InterfaceWire, mac: str) -> Opener:
    """A capture on an interface of this host that may see many boards."""

    def opened(folder: Path, emit: Emit, fail: Fail) -> AbstractContextManager[object]:
        from harness.wire.capture import Capture  # noqa: PLC0415 - brings scapy, as below
        from harness.wire.place import HERE, namespace_of  # noqa: PLC0415
        from harness.wire.process import local  # noqa: PLC0415

        spawn, place = (local, HERE) if wire.namespace is None else namespace_of(wire.namespace)
        path, text = folder / "capture.pcapng", own_packets(mac, wire.filter)
        return Capture(
            wire.interface, path, macs={mac}, on_event=emit, on_error=fail, spawn=spawn, place=place, filter_text=text
        )

    return opened


def ssh_capture(wire: SshWire, mac: str) -> Opener:
    """A capture on an interface of another host that may see many boards."""

    def opened(folder: Path, emit: Emit, fail: Fail) -> AbstractContextManager[object]:
        from harness.wire.remote import RemoteCapture  # noqa: PLC0415

        return RemoteCapture(
            ssh_host(wire),
            wire.interface,
            folder,
            macs={mac},
            on_event=emit,
            on_error=fail,
            filter_text=own_packets(mac, wire.filter),
            namespace=wire.namespace or "",
        )

    return opened


def ssh_host(wire: SshWire) -> SshHost:
    """How to reach the host of a wire."""
    from harness.wire.ssh import SshHost  # noqa: PLC0415

    return SshHost(
        wire.host, wire.user or "", wire.port or 0, wire.key or "", wire.known_hosts or "", wire.config or ""
    )


def own_packets(mac: str, extra: str | None) -> str:
    """The filter for one board of many. extra: a pcap filter of the user's."""
    from harness.wire.filters import boot_filter  # noqa: PLC0415

    own = boot_filter(mac)
    return f"({own}) and ({extra})" if extra else own


def rig_capture(rig: Rig, host: str, tap: str, mac: str) -> Opener:
    """A capture on the board's own switch port in the emulated lab."""

    def spawn(argv: Sequence[str], stdout_fd: int, stderr_fd: int) -> Process:
        return rig.spawn(host, hurried(argv), stdout=stdout_fd, stderr=stderr_fd)

    def opened(folder: Path, emit: Emit, fail: Fail) -> AbstractContextManager[object]:
        from harness.wire.capture import Capture  # noqa: PLC0415

        path = folder / "capture.pcapng"
        return Capture(tap, path, macs={mac}, on_event=emit, on_error=fail, spawn=spawn)

    return opened
