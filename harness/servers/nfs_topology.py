# SPDX-License-Identifier: GPL-2.0-or-later
"""What topologies with an NFS root have in common: one host, whose netboot services differ."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from harness.errors import HarnessBug
from harness.servers.board import VirtualBoard
from harness.servers.roots import Roots
from harness.servers.services.nfs import Export, Nfs, Rpcbind
from harness.servers.services.service import Service, render
from harness.servers.topology import Host, ServerFacts, Site, Topology


class NfsTopology(Topology):
    """Every board has a TFTP directory and an NFS export named after its serial number.

    boot_option: the DHCP option by which this topology's offer names the TFTP server, "43" or "66".
    """

    hosts: ClassVar[tuple[Host, ...]] = (Host("server", "10.77.0.1/24"),)
    boot_option: ClassVar[str]

    @abstractmethod
    def netboot(self, site: Site, host: Host) -> Sequence[Service]:
        """The DHCP and TFTP services of the host, in the order in which they start."""

    def services(self, site: Site) -> list[Service]:
        (host,) = self.hosts
        netboot = list(self.netboot(site, host))
        if site.roots is None:
            return netboot
        exports = [Export(self.export(board), site.roots.path(board.serial_number)) for board in site.boards]
        rpcbind = Rpcbind(site.keeper, host.name, site.folder)
        return [*netboot, rpcbind, Nfs(site.keeper, host.name, site.folder, address=host.ip, exports=exports)]

    def reset_root(self, board: VirtualBoard, roots: Roots, services: Mapping[str, Service]) -> None:
        nfs = services["ganesha"]
        if not isinstance(nfs, Nfs):
            raise HarnessBug(f"the service ganesha is a {type(nfs).__name__}")
        nfs.withdraw(self.export(board))
        roots.renew(board.serial_number)
        nfs.add(Export(self.export(board), roots.path(board.serial_number)))

    def export(self, board: VirtualBoard) -> str:
        return f"/srv/nfs/{board.serial_number}"

    def cmdline(self, board: VirtualBoard) -> str:
        # klibc's nfsmount, in Debian's and Raspberry Pi OS's initramfs, refuses proto=tcp ("bad option") and vers=4.1.
        root = f"{self.hosts[0].ip}:{self.export(board)}"
        return f"console=serial0,115200 root=/dev/nfs nfsroot={root},vers=3,tcp rw ip=dhcp rootwait"

    def config_txt(self, files: Path) -> str:
        return render(
            "config.txt",
            {"auto_initramfs": (files / "initramfs8").is_file(), "initrd": (files / "initrd.img").is_file()},
        )

    def facts(self, board: VirtualBoard) -> ServerFacts:
        address = self.hosts[0].ip
        return ServerFacts(
            dhcp_server=address,
            tftp_server=address,
            tftp_prefix=f"{board.serial_number}/",
            boot_option=self.boot_option,
            root_kind="nfs",
            root_source=f"{address}:{self.export(board)}",
        )
