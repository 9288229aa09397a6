# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks the storage server of a board's root: that of lab.yaml, or else that of the kernel's command line."""

from collections.abc import Iterator, Mapping

from harness.config.roots import CEPH_PORTS, ISCSI_PORT, IscsiRoot, NfsRoot, RbdRoot, Root, address_of, port_of
from harness.inspection.netboot import ceph, iscsi, nfs
from harness.inspection.netboot.seen import Point


def look_at_root(described: Root | None, found: Mapping[str, str]) -> Iterator[Point]:
    """described: with the board's values in it. found: as harness.boot.rootline.root_of makes it of the command line."""
    if isinstance(described, NfsRoot):
        server, _, path = described.source.partition(":")
        yield from nfs.look(server, path, described.version)
    elif isinstance(described, IscsiRoot):
        portal, port = address_of(described.portal), port_of(described.portal) or ISCSI_PORT
        yield from iscsi.look(portal, port, described.target, described.initiator)
    elif isinstance(described, RbdRoot):
        ports = {monitor: port_of(monitor) for monitor in described.monitors}
        yield from ceph.look([(address_of(one), (port,) if port else CEPH_PORTS) for one, port in ports.items()])
    else:
        yield from _told(found)


def _told(found: Mapping[str, str]) -> Iterator[Point]:
    """Of the command line alone."""
    kind, server = found.get("kind"), found.get("server", "")
    if kind is not None and not _is_address(server.split(",")[0]):
        yield Point(
            "root", "skipped", "the command line names its server not by an address", "describe root: in lab.yaml"
        )
    elif kind == "nfs" and "path" in found:
        yield from nfs.look(server, found["path"], None)
    elif kind == "iscsi" and "target" in found:
        yield from iscsi.look(server, ISCSI_PORT, found["target"], found.get("initiator"))
    elif kind == "rbd":
        yield from ceph.look([(one, CEPH_PORTS) for one in server.split(",") if _is_address(one)][:16])


def _is_address(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts)
