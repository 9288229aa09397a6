# SPDX-License-Identifier: GPL-2.0-or-later
"""What DHCP servers without TFTP have in common: one interface, leases .100 to .199, packet sockets that only a log tells of."""

import ipaddress
from pathlib import Path
from typing import Any, ClassVar, Protocol

from harness.servers.keeper_client import Keeper
from harness.servers.services.dnsmasq import udp_ports
from harness.servers.services.service import Service

_PORT = 67


class Named(Protocol):
    """How an offer names the TFTP server. option_66: None for the host's own address, "" for none; next_server: siaddr."""

    @property
    def option_66(self) -> str | None: ...

    @property
    def next_server(self) -> bool: ...


class DhcpServer(Service):
    """DHCP on one interface of a host. address: the host's, "10.77.0.1/24"; says: what its log says once it serves."""

    says: ClassVar[str]

    def __init__(
        self, name: str, keeper: Keeper, host: str, folder: Path, *, address: str, interface: str = "eth0"
    ) -> None:
        super().__init__(name, keeper, host, folder)
        self.address = ipaddress.ip_interface(address)
        self.interface = interface

    @property
    def leases(self) -> Path:
        return self.folder / f"{self.name}.leases"

    def pool(self) -> dict[str, Any]:
        """first and last address of the leases, for a template."""
        network = self.address.network
        return {"first": network.network_address + 100, "last": network.network_address + 199}

    def boot_server(self, options: Named) -> dict[str, Any]:
        """option_66 and next_server, for a template; empty for none."""
        own = str(self.address.ip)
        return {
            "option_66": own if options.option_66 is None else options.option_66,
            "next_server": own if options.next_server else "",
        }

    def awaited(self) -> str:
        # It hears through packet sockets, which no client of ours on its own host can reach; it says when they are open.
        if self.says not in self.new_log():
            return f"it does not say {self.says!r}"
        bound = udp_ports(self.keeper.read(self.host, "/proc/self/net/udp"))
        return "" if _PORT in bound else f"its DHCP port {_PORT} is not open"
