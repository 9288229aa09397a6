# SPDX-License-Identifier: GPL-2.0-or-later
"""Topology `dnsmasq-nfs`: one host with dnsmasq (DHCP, TFTP) and an NFS server; the commonest way to netboot Pis."""

from collections.abc import Sequence
from typing import ClassVar

from harness.servers.nfs_topology import NfsTopology
from harness.servers.services.dnsmasq import Dnsmasq, options_for
from harness.servers.services.service import Service
from harness.servers.topology import Site


class DnsmasqNfs(NfsTopology):
    """dnsmasq marks its offers with option 43 (pxe-service)."""

    name: ClassVar[str] = "dnsmasq-nfs"
    boot_option: ClassVar[str] = "43"

    def netboot(self, site: Site) -> Sequence[Service]:
        (host,) = self.hosts
        return [
            Dnsmasq(
                site.keeper,
                host.name,
                site.folder,
                address=host.address,
                tftp_root=site.tftp_root,
                options=options_for(site.boards),
            )
        ]
