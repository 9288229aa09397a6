# SPDX-License-Identifier: GPL-2.0-or-later
"""ISC dhcpd: DHCP alone; the files come from a TFTP server beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.servers.keeper_client import Keeper
from harness.servers.process import Process, last_lines
from harness.servers.services.confined import unconfined
from harness.servers.services.dhcp import DhcpServer
from harness.servers.services.service import render


@dataclass(frozen=True)
class IscOptions:
    """What a lab, or a fault, changes. Put a changed copy into `IscDhcpd.options`, then restart.

    option_43: the text of vendor-encapsulated-options as it goes on the wire, without sub-options; "" for none. The ROM of a 3B
    wants the three spaces (raspberrypi/documentation boot-net, FW#937). option_66: tftp-server-name, None for the host's own
    address, "" for none. next_server: siaddr, which no Pi's ROM looks at (FW#801); extra: lines that are added as they are.
    """

    option_43: str = "Raspberry Pi Boot   "
    option_66: str | None = None
    next_server: bool = False
    lease: int = 3600
    extra: Sequence[str] = ()


class IscDhcpd(DhcpServer):
    """DHCP on one interface of a host. address: the host's, "10.77.0.1/24"; leases are .100 to .199 of it."""

    program = "dhcpd"
    says = "Server starting service"

    def __init__(
        self,
        keeper: Keeper,
        host: str,
        folder: Path,
        *,
        address: str,
        name: str = "dhcpd",
        interface: str = "eth0",
        options: IscOptions | None = None,
    ) -> None:
        super().__init__(name, keeper, host, folder, address=address, interface=interface)
        self.options = options or IscOptions()

    def render(self) -> str:
        network, options = self.address.network, self.options
        return render(
            "dhcpd.conf",
            {
                "subnet": network.network_address,
                "netmask": network.netmask,
                **self.pool(),
                "lease": options.lease,
                "option_43": options.option_43,
                **self.boot_server(options),
                "extra": options.extra,
            },
        )

    def launch(self) -> Process:
        self.leases.touch()  # it does not start without the file
        return super().launch()

    def command(self) -> Sequence[str]:
        files = ["-cf", str(self.config), "-lf", str(self.leases), "--no-pid"]
        return unconfined(["dhcpd", "-4", "-f", "-d", *files, self.interface])

    def last_words(self) -> str:
        """Its complaint stands above a dozen lines about where to report a bug."""
        return last_lines(self.log, 24)
