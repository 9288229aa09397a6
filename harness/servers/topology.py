# SPDX-License-Identifier: GPL-2.0-or-later
"""A topology: one set of netboot services, as the people who run it would set it up, declared in a few lines.

It names the hosts (each a network namespace with one interface, plugged into the switch that the boards are plugged into),
makes the services in the order in which they start, and says what a board's boot files hold and what a judge should expect.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.errors import ConfigError
from harness.servers.board import VirtualBoard
from harness.servers.keeper_client import Keeper
from harness.servers.roots import Roots
from harness.servers.services.service import Service


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

    root_kind: "nfs"; root_source: "10.77.0.1:/srv/nfs/5ce8a2f1"; boot_option: the DHCP option that marks the offer, "43" or "66".
    """

    dhcp_server: str
    tftp_server: str
    tftp_prefix: str
    boot_option: str
    root_kind: str
    root_source: str


@dataclass(frozen=True)
class Site:
    """What a topology builds its services from. roots is None where no root file system can be served (no root rights)."""

    keeper: Keeper
    folder: Path
    tftp_root: Path
    boards: Sequence[VirtualBoard]
    roots: Roots | None


class Topology(ABC):
    """See the module. Immutable: a rig may be started from it any number of times."""

    name: ClassVar[str]
    hosts: ClassVar[tuple[Host, ...]]

    @abstractmethod
    def services(self, site: Site) -> list[Service]:
        """The services, in the order in which they start. They are not started yet."""

    @abstractmethod
    def reset_root(self, board: VirtualBoard, roots: Roots, services: Mapping[str, Service]) -> None:
        """Give a board that is off a clean root file system, while other boards go on running."""

    @abstractmethod
    def export(self, board: VirtualBoard) -> str:
        """The board's root on its server, as the server's configuration names it."""

    @abstractmethod
    def cmdline(self, board: VirtualBoard) -> str:
        """The board's cmdline.txt: one line, without its end."""

    @abstractmethod
    def config_txt(self, files: Path) -> str:
        """A board's config.txt. files: the directory that holds its other boot files."""

    @abstractmethod
    def facts(self, board: VirtualBoard) -> ServerFacts:
        """What a boot of this board should show."""


def topology_named(name: str) -> Topology:
    """The topology of that name. Raises ConfigError that lists those that there are."""
    # A topology imports this module.
    from harness.servers.dnsmasq_nfs import DnsmasqNfs  # noqa: PLC0415
    from harness.servers.isc_hpa import IscHpa  # noqa: PLC0415
    from harness.servers.kea_atftpd import KeaAtftpd  # noqa: PLC0415

    known: dict[str, type[Topology]] = {kind.name: kind for kind in (DnsmasqNfs, IscHpa, KeaAtftpd)}
    if name not in known:
        raise ConfigError(f"there is no topology {name!r}", remedy=f"choose one of: {', '.join(sorted(known))}")
    return known[name]()
