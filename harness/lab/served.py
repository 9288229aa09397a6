# SPDX-License-Identifier: GPL-2.0-or-later
"""What the netboot server of a board should do for it: as lab.yaml says of one of the lab's, as a rig says of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.boot.expect import ExpectedOffer, ExpectedServer
from harness.boot.rootline import root_of
from harness.config import BoardConfig, EmulatedServer, ExternalServer, LabConfig
from harness.config.roots import IscsiRoot, NfsRoot, RbdRoot, address_of
from harness.masking import masked

if TYPE_CHECKING:
    from harness.servers import Rig
    from harness.servers.services.service import Service
    from harness.servers.topology import ServerFacts


@dataclass(frozen=True)
class Server:
    """The netboot server of one board. tftp_root: its folder, when it is on this machine; services: of the emulated lab."""

    name: str
    expected: ExpectedServer
    tftp_root: Path | None = None
    services: Mapping[str, Service] = field(default_factory=dict)

    def file(self, path: str) -> Path | None:
        """Where a file lies that was asked for as `path` on the wire (servers collapse `//`); None when it is not at hand."""
        return self.tftp_root / path.lstrip("/") if self.tftp_root is not None else None

    def file_over_http(self, path: str) -> Path | None:
        """Where a file lies that was asked for as `path` of the web server; None when it is not at hand."""
        return Path(self.expected.http_root) / path.lstrip("/") if self.expected.http_root is not None else None


def expected(lab: LabConfig, board: BoardConfig, rig: Callable[[], Rig]) -> ExpectedServer:
    """What is expected of the board's server; nothing when lab.yaml names none. rig: gives the one behind an emulated server."""
    server = lab.server_of(board)
    if server is None:
        return ExpectedServer()
    return _of_rig(rig(), board) if isinstance(server, EmulatedServer) else of_lab(server, board)


def _of_rig(rig: Rig, board: BoardConfig) -> ExpectedServer:
    facts = rig.facts(board.name)
    cmdline = masked(rig.board(board.name).cmdline)
    return ExpectedServer(
        dhcp=facts.dhcp_servers,
        tftp=facts.tftp_server,
        tftp_root=str(rig.tftp_root),
        prefix=facts.tftp_prefix,
        root_kind=facts.root_kind,
        root_source=facts.root_source,
        root_server=facts.root_server,
        root_device=facts.root_device,
        root_types=facts.root_types,
        root_options=facts.root_options,
        boot_device=facts.boot_device,
        cmdline=cmdline,
        root_servers=(facts.root_server,),
        root_parts=root_of(cmdline),
        # Nothing of the offer matters to a board that has its server from elsewhere.
        offer=None if facts.http or "TFTP_IP" in board.eeprom.settings() else _offer(facts),
        http=facts.http or None,
        http_root=str(rig.www) if facts.http else None,
    )


def _offer(facts: ServerFacts) -> ExpectedOffer:
    """How a topology's DHCP tells where the files are."""
    return ExpectedOffer(
        mode="proxy" if facts.proxy else "lease",
        option_43="Raspberry Pi Boot" if facts.boot_option == "43" else None,
        option_66=facts.tftp_server if facts.boot_option == "66" else None,
    )


def of_lab(server: ExternalServer, board: BoardConfig) -> ExpectedServer:
    """What lab.yaml says of an external server, for one board."""
    identity = {"serial_number": board.serial_number, "mac": board.mac}
    known = ExpectedServer(
        dhcp=tuple(server.dhcp),
        offer=ExpectedOffer(**server.offer.model_dump()) if server.offer else None,
        tftp=server.tftp.address if server.tftp else None,
        tftp_root=server.tftp.root if server.tftp else None,
        prefix=server.prefix_for(**identity),
        boot_device=server.boot_folder_for(**identity, name=board.name),
        http=server.http_for(**identity, name=board.name),
        http_root=server.http.root if server.http else None,
    )
    root = server.root_for(**identity, name=board.name)
    return known if root is None else known.model_copy(update=_root(root))


def _root(root: NfsRoot | IscsiRoot | RbdRoot) -> dict[str, Any]:
    """The root's part of an ExpectedServer."""
    told: dict[str, Any] = {"root_kind": root.kind, "root_options": tuple(root.options)}
    if isinstance(root, NfsRoot):
        server, _, path = root.source.partition(":")
        version = root.version
        exact = (f"vers={version}",) if version not in {None, "4"} else ()
        return told | {
            "root_source": root.source,
            "root_server": server,
            "root_servers": (server,),
            "root_device": root.source,
            "root_types": () if version is None else ("nfs",) if version == "3" else ("nfs4",),
            "root_options": (*exact, *root.options),
            "root_parts": {"kind": "nfs", "server": server, "path": path},
        }
    types = (root.filesystem,) if root.filesystem else ()
    told |= {"root_device": root.device, "root_types": types}
    if isinstance(root, IscsiRoot):
        server = address_of(root.portal)
        parts = {"server": server, "target": root.target, "initiator": root.initiator, "user": root.user}
        parts["lun"] = str(root.lun) if root.lun is not None else None
        source = f"{server}:{root.target}"
        servers: tuple[str, ...] = (server,)
    else:
        servers = tuple(address_of(monitor) for monitor in root.monitors)
        parts = {"server": ",".join(servers), "pool": root.pool, "image": root.image, "user": root.user}
        source = f"{servers[0]}:{root.pool}/{root.image}"
    return told | {
        "root_source": source,
        "root_server": servers[0],
        "root_servers": servers,
        "root_parts": {"kind": root.kind, **{key: value for key, value in parts.items() if value is not None}},
    }
