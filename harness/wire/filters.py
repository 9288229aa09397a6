# SPDX-License-Identifier: GPL-2.0-or-later
"""What of the wire is captured: pcap-filter(7) text."""

from harness.wire.roots import OSD_PORTS, SERVICES
from harness.wire.text import mac_octets, mac_text

SMALL = 400
"""Octets up to which frames of storage services are kept: connects, mounts, opens, and nearly all calls."""


def boot_filter(mac: str | None = None) -> str:
    """Everything but the bulk of the root file system: frames longer than SMALL of NFS, iSCSI, Ceph (its OSDs, too) and NBD over
    TCP.

    A boot's TFTP, DHCP, ARP and the rest are whole; the root's payload, hundreds of megabytes of the user's own data
    in a long test, is left out. mac: keep only frames of this board, and what is sent to all (broadcast, multicast:
    offers of other DHCP servers, ARP), for a mirror port that sees many boards.
    """
    ports = " or ".join(f"port {port}" for port in sorted(SERVICES))
    ports += f" or portrange {OSD_PORTS[0]}-{OSD_PORTS[1]}"
    storage = f"not (tcp and ({ports}) and greater {SMALL + 1})"
    if mac is None:
        return storage
    return f"(ether host {mac_text(mac_octets(mac))} or ether multicast) and {storage}"
