# SPDX-License-Identifier: GPL-2.0-or-later
"""A topology: one set of netboot services, as the people who run it would set it up, declared in a few lines.

It names the hosts (each a network namespace with one interface, plugged into the switch that the boards are plugged into),
makes the services in the order in which they start and the store of the boards' root file systems, and says what a board's boot
files hold and what a judge should expect.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from harness.servers.board import BootSetLike, VirtualBoard
from harness.servers.keeper_client import Keeper
from harness.servers.roots import RootStore
from harness.servers.services.service import Service, render


@dataclass(frozen=True)
class Host:
    """A machine with services. address: with the prefix length, "10.77.0.1/24"."""

    name: str
    address: str
    interface: str = "eth0"

    @property
    def ip(self) -> str:
        return self.address.partition("/")[0]


@dataclass(frozen=True)
class ServerFacts:
    """What is true of a topology's server for one board, in the words of a lab.yaml's `server:`.

    dhcp_servers: all that may answer a DISCOVER, proxies too. boot_option: the DHCP option that marks the offer, "43" or "66";
    proxy: a proxy DHCP server's, beside one that gives addresses.
    root_kind: "nfs", "iscsi" or "rbd". root_server: the address that storage traffic goes to. root_source: "10.77.0.1:/srv/nfs/
    5ce8a2f1" or, of a block device, what the kernel's command line has for it. root_device: the source of / in the running
    board's /proc/mounts, root_types the file system types that it may have there, root_options what its mount options hold.
    boot_device: what the board mounts on /boot/firmware, None for nothing.
    """

    dhcp_servers: tuple[str, ...]
    tftp_server: str
    tftp_prefix: str
    boot_option: str
    root_kind: str
    root_server: str
    root_source: str
    root_device: str
    root_types: tuple[str, ...]
    root_options: tuple[str, ...] = ()
    boot_device: str | None = None
    http: str = ""
    proxy: bool = False

    def with_http(self, url: str) -> "ServerFacts":
        """The same for a board that takes boot.sig and boot.img from below this URL, which ends with a slash."""
        return replace(self, http=url)


@dataclass(frozen=True)
class TopologyOptions:
    """What a lab may choose about a topology. Each topology takes what concerns it.

    nfs: version of the root's NFS, "3" or "4.1". ceph_mgr: run Ceph's manager as well.
    """

    nfs: str = "3"
    ceph_mgr: bool = False


@dataclass(frozen=True)
class Site:
    """What a topology builds its services from.

    folder: configurations and logs. scratch: a directory on a real file system that ends with the rig. boot_set: None where
    no files are to be served.
    """

    keeper: Keeper
    folder: Path
    scratch: Path
    tftp_root: Path
    boards: Sequence[VirtualBoard]
    boot_set: BootSetLike | None

    @property
    def www(self) -> Path:
        """The root of a web server, if the topology has one."""
        return self.scratch / "www"

    def root_files(
        self, wanted: Callable[[VirtualBoard], Mapping[str, str]]
    ) -> Callable[[VirtualBoard], Mapping[str, str]]:
        """What is put into a board's root: what the topology wants, within what the user's own image has."""
        own = self.boot_set.own if self.boot_set is not None else None
        return (lambda board: own.root_files(wanted(board))) if own else wanted

    @property
    def serves_roots(self) -> bool:
        """Whether root file systems can be served: that needs root rights."""
        return self.boot_set is not None and not self.keeper.rootless


@dataclass(frozen=True)
class Setup:
    """What a topology has built. services: in the order in which they start, not started yet. roots: None without roots."""

    services: Sequence[Service]
    roots: RootStore | None


class Topology(ABC):
    """See the module. Immutable: a rig may be started from it any number of times.

    initramfs: which initramfs its roots need, one of harness.images.FLAVOURS.
    """

    name: ClassVar[str]
    hosts: ClassVar[tuple[Host, ...]]

    def __init__(self, options: TopologyOptions | None = None) -> None:
        self.options = options or TopologyOptions()

    @property
    def initramfs(self) -> str:
        return "nfs"

    @abstractmethod
    def setup(self, site: Site) -> Setup:
        """The services and the boards' roots. Nothing is started or made yet."""

    @abstractmethod
    def cmdline(self, board: VirtualBoard) -> str:
        """The board's cmdline.txt: one line, without its end."""

    @abstractmethod
    def facts(self, board: VirtualBoard) -> ServerFacts:
        """What a boot of this board should show."""

    def config_txt(self, files: Path) -> str:
        """A board's config.txt. files: the directory that holds its other boot files."""
        return render(
            "config.txt",
            {"auto_initramfs": (files / "initramfs8").is_file(), "initrd": (files / "initrd.img").is_file()},
        )

    def boot_files(self, _board: VirtualBoard) -> Mapping[str, bytes]:
        """Files to put among the board's boot files, over those of the boot set: relative path -> content."""
        return {}

    def root_files(self, _board: VirtualBoard) -> Mapping[str, str]:
        """Files to put into the board's root, over those of the boot set: relative path -> text (etc/fstab ...)."""
        return {}

    def host(self, name: str) -> Host:
        """The host of that name. KeyError when there is none."""
        return {host.name: host for host in self.hosts}[name]
