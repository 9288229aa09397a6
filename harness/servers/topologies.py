# SPDX-License-Identifier: GPL-2.0-or-later
"""The topologies that there are, by name."""

from harness.errors import ConfigError
from harness.servers.ceph_rbd import CephRbd
from harness.servers.dnsmasq_http import DnsmasqHttp
from harness.servers.dnsmasq_iscsi import DnsmasqIscsi
from harness.servers.dnsmasq_nfs import DnsmasqNfs
from harness.servers.isc_hpa import IscHpa
from harness.servers.kea_atftpd import KeaAtftpd
from harness.servers.openwrt_43_66 import Openwrt4366
from harness.servers.router_option_66 import RouterOption66
from harness.servers.topology import Topology, TopologyOptions

_ALL: tuple[type[Topology], ...] = (
    *(DnsmasqNfs, DnsmasqHttp, DnsmasqIscsi, CephRbd, RouterOption66, Openwrt4366),
    *(IscHpa, KeaAtftpd),
)
TOPOLOGIES: dict[str, type[Topology]] = {kind.name: kind for kind in _ALL}


def topology_named(name: str, options: TopologyOptions | None = None) -> Topology:
    """The topology of that name. Raises ConfigError that lists those that there are."""
    if name not in TOPOLOGIES:
        raise ConfigError(f"there is no topology {name!r}", remedy=f"choose one of: {', '.join(sorted(TOPOLOGIES))}")
    return TOPOLOGIES[name](options)
