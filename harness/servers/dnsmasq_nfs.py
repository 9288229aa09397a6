# SPDX-License-Identifier: GPL-2.0-or-later
"""Topology `dnsmasq-nfs`: one host with dnsmasq (DHCP, TFTP) and an NFS server; the commonest way to netboot Pis."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from harness.errors import HarnessBug
from harness.servers.board import VirtualBoard
from harness.servers.roots import Roots
from harness.servers.services.dnsmasq import Dnsmasq, options_for
from harness.servers.services.nfs import Export, Nfs, Rpcbind
from harness.servers.services.service import Service, render
from harness.servers.topology import Host, ServerFacts, Site, Topology


class DnsmasqNfs(Topology):
    """Every board has a TFTP directory and an NFS export named after its serial number."""

    name: ClassVar[str] = "dnsmasq-nfs"
    hosts: ClassVar[tuple[Host, ...]] = (Host("server", "10.77.0.1/24"),)

    def services(self, site: Site) -> list[Service]:
        (host,) = self.hosts
        dnsmasq = Dnsmasq(
            site.keeper,
            host.name,
            site.folder,
            address=host.address,
            tftp_root=site.tftp_root,
            options=options_for(site.boards),
        )
        if site.roots is None:
            return [dnsmasq]
        exports = [Export(self.export(board), site.roots.path(board.serial_number)) for board in site.boards]
        rpcbind = Rpcbind(site.keeper, host.name, site.folder)
        return [dnsmasq, rpcbind, Nfs(site.keeper, host.name, site.folder, address=host.ip, exports=exports)]

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
            boot_option="43",
            root_kind="nfs",
            root_source=f"{address}:{self.export(board)}",
        )
