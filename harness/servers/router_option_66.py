# SPDX-License-Identifier: GPL-2.0-or-later
"""Topology `router-option-66`: a router whose DHCP server can be told option 66 and no more, and a NAS with TFTP and NFS.

Many home and office routers have a single field for it, "TFTP server". It is enough for a Pi with an EEPROM and for a 3B+.
"""

from collections.abc import Sequence
from typing import ClassVar

from harness.servers.nfs_topology import NfsTopology
from harness.servers.services.kea import Kea, KeaOptions
from harness.servers.services.service import Service
from harness.servers.services.tftpd_hpa import TftpdHpa
from harness.servers.topology import Host, Site


class RouterOption66(NfsTopology):
    """Kea is the router's DHCP server. siaddr and option 43 are not there; option 3 names the router."""

    name: ClassVar[str] = "router-option-66"
    hosts: ClassVar[tuple[Host, ...]] = (Host("router", "10.77.0.1/24"), Host("nas", "10.77.0.2/24"))
    boot_option: ClassVar[str] = "66"

    def netboot(self, site: Site) -> Sequence[Service]:
        router, nas = self.hosts
        options = KeaOptions(menu="", option_66=nas.ip, router=router.ip)
        return [
            Kea(site.keeper, router.name, site.folder, address=router.address, options=options),
            TftpdHpa(site.keeper, nas.name, site.folder, address=nas.ip, tftp_root=site.tftp_root),
        ]
