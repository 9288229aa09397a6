# SPDX-License-Identifier: GPL-2.0-or-later
"""Topology `dnsmasq-iscsi`: one host with dnsmasq (DHCP, TFTP) and tgt, an iSCSI target that asks for CHAP."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from harness.servers.board import VirtualBoard
from harness.servers.iscsi_roots import IscsiRoots
from harness.servers.services.dnsmasq import Dnsmasq, options_for
from harness.servers.services.tgt import Disk, Tgt
from harness.servers.topology import Host, ServerFacts, Setup, Site, Topology, TopologyOptions


class DnsmasqIscsi(Topology):
    """Every board has a TFTP directory and a target of its own, named after its serial number, whose LUN 1 is its root."""

    name: ClassVar[str] = "dnsmasq-iscsi"
    hosts: ClassVar[tuple[Host, ...]] = (Host("server", "10.77.0.1/24"),)

    def __init__(self, options: TopologyOptions | None = None) -> None:
        super().__init__(options)
        self._seed = secrets.token_bytes(16)

    @property
    def initramfs(self) -> str:
        return "iscsi"

    def setup(self, site: Site) -> Setup:
        (host,) = self.hosts
        dnsmasq = Dnsmasq(
            site.keeper,
            host.name,
            site.folder,
            address=host.address,
            tftp_root=site.tftp_root,
            options=options_for(site.boards),
        )
        if not site.serves_roots or site.boot_set is None or site.boot_set.image is None:
            return Setup([dnsmasq], None)
        disks = site.scratch / "disks"
        tgt = Tgt(
            site.keeper,
            host.name,
            site.folder,
            address=host.ip,
            disks=[self.disk(board, disks) for board in site.boards],
            secrets=site.scratch / "chap",
        )
        roots = IscsiRoots(
            tgt, site.boot_set.image, lambda board: self.disk(board, disks), site.root_files(self.root_files)
        )
        return Setup([dnsmasq, tgt], roots)

    def target(self, board: VirtualBoard) -> str:
        """The iSCSI name of a board's target (RFC 3720, 3.2.6.3.1)."""
        return f"iqn.2026-01.lab.piboot:{board.serial_number}"

    def secret(self, board: VirtualBoard) -> str:
        """The board's CHAP secret: 16 characters, which is what old initiators take at most."""
        return hmac.new(self._seed, board.serial_number.encode(), hashlib.sha256).hexdigest()[:16]

    def disk(self, board: VirtualBoard, folder: Path) -> Disk:
        """What the target has of a board. folder: where the images are."""
        image = folder / f"{board.serial_number}.ext4"
        return Disk(self.target(board), image, user=board.serial_number, secret=self.secret(board))

    def initiator(self, board: VirtualBoard) -> str:
        """The iSCSI name of the board itself."""
        return f"iqn.2026-01.lab.piboot:board-{board.serial_number}"

    def cmdline(self, board: VirtualBoard) -> str:
        # As open-iscsi's scripts in Debian's initramfs read it; a board's only disk is sda.
        words = {
            "iscsi_initiator": self.initiator(board),
            "iscsi_target_name": self.target(board),
            "iscsi_target_ip": self.hosts[0].ip,
            "iscsi_username": board.serial_number,
            "iscsi_password": self.secret(board),
        }
        iscsi = " ".join(f"{name}={value}" for name, value in words.items())
        return f"console=serial0,115200 root=/dev/sda {iscsi} rootfstype=ext4 rw ip=dhcp rootwait"

    def root_files(self, board: VirtualBoard) -> Mapping[str, str]:
        # iscsid takes the session over, by the same name.
        return {"etc/iscsi/initiatorname.iscsi": f"InitiatorName={self.initiator(board)}\n"}

    def facts(self, board: VirtualBoard) -> ServerFacts:
        address = self.hosts[0].ip
        return ServerFacts(
            dhcp_servers=(address,),
            tftp_server=address,
            tftp_prefix=board.folder,
            boot_option="43",
            root_kind="iscsi",
            root_server=address,
            root_source=f"{address}:{self.target(board)}",
            root_device="/dev/sda",
            root_types=("ext4",),
        )
