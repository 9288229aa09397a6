# SPDX-License-Identifier: GPL-2.0-or-later
"""Topology `isc-hpa`: ISC dhcpd and tftpd-hpa, as they have been run together for decades, and an NFS server."""

from collections.abc import Sequence
from typing import ClassVar

from harness.servers.nfs_topology import NfsTopology
from harness.servers.services.isc_dhcpd import IscDhcpd
from harness.servers.services.service import Service
from harness.servers.services.tftpd_hpa import TftpdHpa
from harness.servers.topology import Site


class IscHpa(NfsTopology):
    """dhcpd sends option 43 as bare text, and option 66, which a Pi prefers."""

    name: ClassVar[str] = "isc-hpa"
    boot_option: ClassVar[str] = "66"

    def netboot(self, site: Site) -> Sequence[Service]:
        (host,) = self.hosts
        return [
            IscDhcpd(site.keeper, host.name, site.folder, address=host.address),
            TftpdHpa(site.keeper, host.name, site.folder, address=host.ip, tftp_root=site.tftp_root),
        ]
