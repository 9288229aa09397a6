# SPDX-License-Identifier: GPL-2.0-or-later
"""Topology `openwrt-43-66`: an OpenWrt router, whose dnsmasq sends options 43 and 66, and a NAS with TFTP and NFS.

The boards mount the directory that TFTP serves them as /boot/firmware, so that a kernel which is installed on a board is the one
that it boots next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from harness.servers.board import VirtualBoard
from harness.servers.nfs_topology import NfsTopology
from harness.servers.services.dnsmasq import Dnsmasq, DnsmasqOptions
from harness.servers.services.nfs import Export
from harness.servers.services.service import Service
from harness.servers.services.tftpd_hpa import TftpdHpa
from harness.servers.topology import Host, ServerFacts, Site

#: The bare text, without PXE's sub-options; a boot ROM wants the three spaces (raspberrypi/documentation boot-net, FW#937).
MENU = "Raspberry Pi Boot   "


class Openwrt4366(NfsTopology):
    """Options as in /etc/config/dhcp: `list dhcp_option '43,Raspberry Pi Boot   '`, `list dhcp_option '66,10.77.0.2'`."""

    name: ClassVar[str] = "openwrt-43-66"
    hosts: ClassVar[tuple[Host, ...]] = (Host("openwrt", "10.77.0.1/24"), Host("nas", "10.77.0.2/24"))
    boot_option: ClassVar[str] = "66"

    def netboot(self, site: Site) -> Sequence[Service]:
        router, nas = self.hosts
        options = DnsmasqOptions(
            boot_option_43=False,
            tftp=False,
            router=router.ip,
            extra=(
                "",
                "# The TFTP server, and what a Pi looks for in an offer, as bare text. dnsmasq sends them the other way round,",
                "# and of the two the ROM of a 3B takes the last.",
                f"dhcp-option=66,{nas.ip}",
                f'dhcp-option=43,"{MENU}"',
            ),
        )
        dhcp = Dnsmasq(
            site.keeper,
            router.name,
            site.folder,
            address=router.address,
            tftp_root=site.tftp_root,
            options=options,
        )
        return [dhcp, TftpdHpa(site.keeper, nas.name, site.folder, address=nas.ip, tftp_root=site.tftp_root)]

    def boot_export(self, board: VirtualBoard) -> str:
        """The directory that TFTP serves the board, as the server's configuration names it."""
        return f"/srv/tftp/{board.folder}".rstrip("/")

    def more_exports(self, site: Site) -> Sequence[Export]:
        return [Export(self.boot_export(board), str(site.tftp_root / board.folder)) for board in site.boards]

    def facts(self, board: VirtualBoard) -> ServerFacts:
        return replace(super().facts(board), boot_device=f"{self.storage.ip}:{self.boot_export(board)}")

    def root_files(self, board: VirtualBoard) -> Mapping[str, str]:
        return {"etc/fstab": boot_fstab(self.storage.ip, self.boot_export(board)), "boot/firmware/NOT-MOUNTED": UNDER}


#: Seen on a board only when its /boot/firmware is not mounted.
UNDER = "The directory that TFTP serves is to be mounted here: see /etc/fstab.\n"


def boot_fstab(server: str, path: str, where: str = "/boot/firmware") -> str:
    """An fstab that mounts a board's TFTP directory. addr= is what mount.nfs finds out; a root without nfs-common has none."""
    options = f"rw,vers=3,tcp,nolock,addr={server}"
    return f"proc /proc proc defaults 0 0\n{server}:{path} {where} nfs {options} 0 0\n"
