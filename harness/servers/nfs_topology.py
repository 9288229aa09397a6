# SPDX-License-Identifier: GPL-2.0-or-later
"""What topologies with an NFS root have in common; their netboot services differ."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from harness.servers.board import VirtualBoard
from harness.servers.nfs_roots import NfsRoots
from harness.servers.overlays import Overlays
from harness.servers.services.nfs import Export, Nfs, Rpcbind
from harness.servers.services.service import Service
from harness.servers.topology import Host, ServerFacts, Setup, Site, Topology


class NfsTopology(Topology):
    """Every board has a TFTP directory, and an NFS export named after its serial number.

    boot_option: the DHCP option by which this topology's offer names the TFTP server, "43" or "66". The first host answers
    DHCP; the last one has the files and the roots.
    """

    hosts: ClassVar[tuple[Host, ...]] = (Host("server", "10.77.0.1/24"),)
    boot_option: ClassVar[str]

    @abstractmethod
    def netboot(self, site: Site) -> Sequence[Service]:
        """The DHCP and TFTP services, in the order in which they start."""

    @property
    def initramfs(self) -> str:
        return "nfs" if self.options.nfs == "3" else "nfs4"

    @property
    def storage(self) -> Host:
        return self.hosts[-1]

    def setup(self, site: Site) -> Setup:
        netboot = list(self.netboot(site))
        if not site.serves_roots or site.boot_set is None:
            return Setup(netboot, None)
        overlays = Overlays(site.keeper, site.boot_set.root, site.scratch / "roots")
        roots = [Export(self.export(board), overlays.path(board.serial_number)) for board in site.boards]
        host = self.storage
        rpcbind = Rpcbind(site.keeper, host.name, site.folder)
        nfs = Nfs(site.keeper, host.name, site.folder, address=host.ip, exports=[*roots, *self.more_exports(site)])
        return Setup([*netboot, rpcbind, nfs], NfsRoots(overlays, nfs, self.export, site.root_files(self.root_files)))

    def more_exports(self, _site: Site) -> Sequence[Export]:
        """What the NFS server exports beside the roots."""
        return ()

    def export(self, board: VirtualBoard) -> str:
        """The board's root, as the server's configuration names it."""
        return f"/srv/nfs/{board.serial_number}"

    def cmdline(self, board: VirtualBoard) -> str:
        # klibc's nfsmount, in Debian's and Raspberry Pi OS's initramfs, refuses proto=tcp ("bad option") and vers=4.1.
        options = "vers=3,tcp" if self.options.nfs == "3" else f"vers={self.options.nfs},proto=tcp"
        root = f"{self.storage.ip}:{self.export(board)},{options}"
        return f"console=serial0,115200 root=/dev/nfs nfsroot={root} rw ip=dhcp rootwait"

    def facts(self, board: VirtualBoard) -> ServerFacts:
        address = self.storage.ip
        source = f"{address}:{self.export(board)}"
        return ServerFacts(
            dhcp_servers=(self.hosts[0].ip,),
            tftp_server=address,
            tftp_prefix=board.folder,
            boot_option=self.boot_option,
            root_kind="nfs",
            root_server=address,
            root_source=source,
            root_device=source,
            root_types=("nfs",) if self.options.nfs == "3" else ("nfs4",),
            root_options=(f"vers={self.options.nfs}", "proto=tcp"),
        )
