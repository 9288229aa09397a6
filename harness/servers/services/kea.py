# SPDX-License-Identifier: GPL-2.0-or-later
"""Kea's DHCPv4 server: DHCP alone; the files come from a TFTP server beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.servers.keeper_client import Keeper
from harness.servers.process import Process
from harness.servers.services.confined import unconfined
from harness.servers.services.dhcp import DhcpServer
from harness.servers.services.service import render


@dataclass(frozen=True)
class KeaOptions:
    """What a lab, or a fault, changes. Put a changed copy into `Kea.options`, then restart.

    menu: the text of the PXE boot menu, sub-option 9 of option 43, with 6 and 10 beside it; "" for no option 43.
    option_66: tftp-server-name, None for the host's own address, "" for none. next_server: siaddr. router: option 3, "" for none.
    """

    menu: str = "Raspberry Pi Boot   "
    option_66: str | None = None
    next_server: bool = False
    router: str = ""
    lease: int = 3600


class Kea(DhcpServer):
    """DHCP on one interface of a host. address: the host's, "10.77.0.1/24"; leases are .100 to .199 of it."""

    program = "kea-dhcp4"
    says = "DHCP4_STARTED"

    def __init__(
        self,
        keeper: Keeper,
        host: str,
        folder: Path,
        *,
        address: str,
        name: str = "kea",
        interface: str = "eth0",
        options: KeaOptions | None = None,
    ) -> None:
        super().__init__(name, keeper, host, folder, address=address, interface=interface)
        self.options = options or KeaOptions()

    def render(self) -> str:
        network, options = self.address.network, self.options
        menu = options.menu.encode()
        return render(
            "kea-dhcp4.conf",
            {
                "interface": self.interface,
                "leases": self.leases,
                "subnet": network,
                **self.pool(),
                "lease": options.lease,
                "router": options.router,
                "menu": options.menu,
                "menu_octets": (b"\0\0" + bytes([len(menu)]) + menu).hex(),
                **self.boot_server(options),
            },
        )

    def launch(self) -> Process:
        # Its pid and lock files; later versions also refuse leases elsewhere than there.
        folder = str(self.folder)
        places = {"KEA_PIDFILE_DIR": folder, "KEA_LOCKFILE_DIR": folder, "KEA_DHCP_DATA_DIR": folder}
        return self.keeper.spawn(
            self.host, self.command(), stdout=self.log, stderr=self.log, env={"LC_ALL": "C", **places}
        )

    def command(self) -> Sequence[str]:
        return unconfined(["kea-dhcp4", "-c", str(self.config)])


class RouterKea(Kea):
    """A router's: addresses and itself as the way out, nothing of network boot. Its options: lease."""

    def render(self) -> str:
        network = self.address.network
        return render(
            "kea-router.conf",
            {
                "interface": self.interface,
                "leases": self.leases,
                "subnet": network,
                **self.pool(),
                "lease": self.options.lease,
                "router": self.address.ip,
            },
        )
