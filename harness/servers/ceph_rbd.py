# SPDX-License-Identifier: GPL-2.0-or-later
"""Topology `ceph-rbd`: a router whose DHCP knows nothing of network boot, a netboot host, and a Ceph cluster for the roots.

The netboot host runs dnsmasq as a proxy DHCP and TFTP server, and NFS: a board's /boot is the directory that TFTP serves.
"""

from collections.abc import Mapping
from typing import ClassVar

from harness.servers.board import VirtualBoard
from harness.servers.openwrt_43_66 import boot_fstab
from harness.servers.rbd_roots import RbdRoots
from harness.servers.services.ceph import CLIENT, POOL, CephMgr, CephMon, CephOsd, Cluster, new_key
from harness.servers.services.dnsmasq import ProxyDnsmasq, options_for
from harness.servers.services.kea import RouterKea
from harness.servers.services.nfs import Export, Nfs, Rpcbind
from harness.servers.services.service import Service
from harness.servers.topology import Host, ServerFacts, Setup, Site, Topology, TopologyOptions


class CephRbd(Topology):
    """Every board has a TFTP directory, which is also its /boot, and a volume named after its serial number."""

    name: ClassVar[str] = "ceph-rbd"
    hosts: ClassVar[tuple[Host, ...]] = (
        Host("router", "10.77.0.1/24"),
        Host("netboot", "10.77.0.2/24"),
        Host("ceph", "10.77.0.3/24"),
    )
    #: Where the OSD keeps its objects.
    store: ClassVar[str] = "memstore"

    def __init__(self, options: TopologyOptions | None = None) -> None:
        super().__init__(options)
        self.key = new_key()  # the boards' client's

    @property
    def initramfs(self) -> str:
        return "rbd"

    def setup(self, site: Site) -> Setup:
        router, netboot, storage = self.hosts
        dhcp: list[Service] = [
            RouterKea(site.keeper, router.name, site.folder, address=router.address),
            ProxyDnsmasq(
                site.keeper,
                netboot.name,
                site.folder,
                address=netboot.address,
                tftp_root=site.tftp_root,
                options=options_for(site.boards),
            ),
        ]
        if not site.serves_roots or site.boot_set is None or site.boot_set.image is None:
            return Setup(dhcp, None)
        exports = [Export(self.boot_export(board), str(site.tftp_root / board.folder)) for board in site.boards]
        boot = [
            Rpcbind(site.keeper, netboot.name, site.folder),
            Nfs(site.keeper, netboot.name, site.folder, address=netboot.ip, exports=exports),
        ]
        place = (site.keeper, storage.name, site.folder, site.scratch / "ceph", storage.address)
        cluster = Cluster(*place, key=self.key, store=self.store)
        ceph: list[Service] = [CephMon(cluster), CephOsd(cluster)]
        if self.options.ceph_mgr:
            ceph.append(CephMgr(cluster))
        roots = RbdRoots(cluster, site.boot_set.image, site.scratch / "volumes", site.root_files(self.root_files))
        return Setup([*ceph, *dhcp, *boot], roots)

    def boot_export(self, board: VirtualBoard) -> str:
        """The board's /boot, as the NFS server names it."""
        return f"/srv/tftp/{board.serial_number}"

    def volume(self, board: VirtualBoard) -> str:
        return f"{POOL}/{board.serial_number}"

    def cmdline(self, board: VirtualBoard) -> str:
        # As the rbd script in the initramfs reads it.
        root = f"{self.hosts[2].ip}:{CLIENT}:{self.key}:{POOL}:{board.serial_number}::noatime"
        return f"console=serial0,115200 boot=rbd rbdroot={root} rootfstype=ext4 rw ip=dhcp rootwait"

    def root_files(self, board: VirtualBoard) -> Mapping[str, str]:
        return {"etc/fstab": boot_fstab(self.hosts[1].ip, self.boot_export(board), "/boot")}

    def facts(self, board: VirtualBoard) -> ServerFacts:
        router, netboot, storage = (host.ip for host in self.hosts)
        return ServerFacts(
            dhcp_servers=(router, netboot),
            tftp_server=netboot,
            tftp_prefix=board.folder,
            boot_option="43",
            proxy=True,
            root_kind="rbd",
            root_server=storage,
            root_source=f"{storage}:{self.volume(board)}",
            root_device="/dev/rbd0",
            root_types=("ext4",),
            root_options=("noatime",),
            boot_device=f"{netboot}:{self.boot_export(board)}",
        )
