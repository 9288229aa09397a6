# SPDX-License-Identifier: GPL-2.0-or-later
"""Topology `kea-atftpd`: Kea, ISC's present DHCP server, with atftpd and an NFS server."""

from collections.abc import Sequence
from typing import ClassVar

from harness.servers.nfs_topology import NfsTopology
from harness.servers.services.atftpd import Atftpd
from harness.servers.services.kea import Kea
from harness.servers.services.service import Service
from harness.servers.topology import Site


class KeaAtftpd(NfsTopology):
    """Kea sends option 43 as a PXE menu in sub-options, and option 66, which a Pi prefers."""

    name: ClassVar[str] = "kea-atftpd"
    boot_option: ClassVar[str] = "66"

    def netboot(self, site: Site) -> Sequence[Service]:
        (host,) = self.hosts
        return [
            Kea(site.keeper, host.name, site.folder, address=host.address),
            Atftpd(site.keeper, host.name, site.folder, address=host.ip, tftp_root=site.tftp_root),
        ]
