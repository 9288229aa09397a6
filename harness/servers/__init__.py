# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulated lab: real servers in network namespaces, and what holds them together.

The names below are the room's public ones. They are looked up when first used, because the keeper's own process is started from
this package and a rig waits for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.servers.board import BoardPort, BootSetLike, VirtualBoard
    from harness.servers.cable import Faults
    from harness.servers.keeper_client import Keeper
    from harness.servers.process import Process
    from harness.servers.programs import Requirement, requirements
    from harness.servers.rig import Rig
    from harness.servers.services.dnsmasq import Dnsmasq, DnsmasqOptions
    from harness.servers.services.nfs import Nfs
    from harness.servers.services.service import Service
    from harness.servers.topologies import topology_named
    from harness.servers.topology import ServerFacts, Topology, TopologyOptions

_HOMES = {
    "BoardPort": "board",
    "BootSetLike": "board",
    "Dnsmasq": "services.dnsmasq",
    "DnsmasqOptions": "services.dnsmasq",
    "Faults": "cable",
    "Keeper": "keeper_client",
    "Nfs": "services.nfs",
    "Process": "process",
    "Requirement": "programs",
    "Rig": "rig",
    "ServerFacts": "topology",
    "Service": "services.service",
    "Topology": "topology",
    "TopologyOptions": "topology",
    "VirtualBoard": "board",
    "requirements": "programs",
    "topology_named": "topologies",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "BoardPort",
    "BootSetLike",
    "Dnsmasq",
    "DnsmasqOptions",
    "Faults",
    "Keeper",
    "Nfs",
    "Process",
    "Requirement",
    "Rig",
    "ServerFacts",
    "Service",
    "Topology",
    "TopologyOptions",
    "VirtualBoard",
    "requirements",
    "topology_named",
]
