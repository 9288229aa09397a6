# SPDX-License-Identifier: GPL-2.0-or-later
"""dnsmasq: DHCP and TFTP, as most people who netboot Pis run it."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.models import MODELS
from harness.servers.board import VirtualBoard
from harness.servers.keeper_client import Keeper
from harness.servers.services.service import Service, render

_DHCP_PORT, _TFTP_PORT = 67, 69
MENU = "Raspberry Pi Boot"
#: Boards whose boot ROM misses an offer that comes at once (boot-net.adoc, FW#862).
_SLOW_OF_HEARING = ("pi2b", "pi3b")


@dataclass(frozen=True)
class DnsmasqOptions:
    """What a lab, or a fault, changes about the configuration. Put a changed copy into `Dnsmasq.options`, then restart.

    boot_option_43: offer `menu` (pxe-service), which the ROM of a 2B or 3B takes only with three spaces at its end.
    delayed: MAC addresses that are answered after a second, as those ROMs want it (dnsmasq 2.77 and later). option_66: the
    TFTP server's name or address, as text; dnsmasq appends a NUL to it. tftp: serve files. router: option 3, "" for the
    host's own address. addresses: how many there are to lease, at most 100. extra: lines that are added as they are.
    """

    boot_option_43: bool = True
    menu: str = MENU
    delayed: Sequence[str] = ()
    option_66: str = ""
    tftp: bool = True
    router: str = ""
    lease: str = "1h"
    addresses: int = 100
    extra: Sequence[str] = ()


def options_for(boards: Iterable[VirtualBoard]) -> DnsmasqOptions:
    """What these boards need of the server, and no more."""
    roms = [board for board in boards if (model := MODELS.get(board.model)) and model.bootloader == "rom"]
    return DnsmasqOptions(
        menu=MENU + "   " if roms else MENU,
        delayed=tuple(board.mac for board in roms if board.model in _SLOW_OF_HEARING),
    )


class Dnsmasq(Service):
    """DHCP and TFTP on one interface of a host. address: the host's, "10.77.0.1/24"; leases are .100 to .199 of it."""

    program = "dnsmasq"

    def __init__(
        self,
        keeper: Keeper,
        host: str,
        folder: Path,
        *,
        address: str,
        tftp_root: Path,
        name: str = "dnsmasq",
        interface: str = "eth0",
        options: DnsmasqOptions | None = None,
    ) -> None:
        super().__init__(name, keeper, host, folder)
        self.network = ipaddress.ip_interface(address).network
        self.tftp_root = tftp_root
        self.interface = interface
        self.options = options or DnsmasqOptions()

    @property
    def leases(self) -> Path:
        return self.folder / f"{self.name}.leases"

    def render(self) -> str:
        options = self.options
        return render(
            "dnsmasq.conf",
            {
                "interface": self.interface,
                "first": self.network.network_address + 100,
                "last": self.network.network_address + 99 + options.addresses,
                "netmask": self.network.netmask,
                "lease": options.lease,
                "leases": self.leases,
                "boot_option_43": options.boot_option_43,
                "menu": options.menu,
                "delayed": options.delayed,
                "option_66": options.option_66,
                "router": options.router,
                "tftp": options.tftp,
                "tftp_root": self.tftp_root,
                "extra": options.extra,
            },
        )

    def command(self) -> Sequence[str]:
        # --no-daemon, not --keep-in-foreground: it then stays the user that it is, which is all that a user namespace allows.
        return [
            "dnsmasq",
            "--no-daemon",
            f"--conf-file={self.config}",
            "--log-facility=-",
            "--user=",
            "--pid-file=",
        ]

    def awaited(self) -> str:
        # The table holds everyone's ports; the line, which comes after all that can go wrong, is its own.
        if "started, version" not in self.new_log():
            return "it does not say that it has started"
        ports = {_DHCP_PORT: "DHCP"} | ({_TFTP_PORT: "TFTP"} if self.options.tftp else {})
        bound = udp_ports(self.keeper.read(self.host, "/proc/self/net/udp"))
        wanted = [f"its {what} port {port} is not open" for port, what in ports.items() if port not in bound]
        return " and ".join(wanted)


class ProxyDnsmasq(Dnsmasq):
    """Proxy DHCP and TFTP beside another DHCP server of the network. Its options: boot_option_43, menu, extra."""

    def render(self) -> str:
        return render(
            "dnsmasq-proxy.conf",
            {
                "interface": self.interface,
                "network": self.network.network_address,
                "boot_option_43": self.options.boot_option_43,
                "menu": self.options.menu,
                "tftp_root": self.tftp_root,
                "extra": self.options.extra,
            },
        )


def udp_ports(table: str) -> set[int]:
    """The local ports of all sockets in the text of /proc/net/udp (proc_net_udp: "sl local_address ...", hexadecimal)."""
    fields = (line.split() for line in table.splitlines()[1:])
    return {int(field[1].rpartition(":")[2], 16) for field in fields if len(field) > 1}
