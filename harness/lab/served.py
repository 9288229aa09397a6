# SPDX-License-Identifier: GPL-2.0-or-later
"""What the netboot server of a board should do for it: as lab.yaml says of one of the lab's, as a rig says of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.boot.expect import ExpectedServer
from harness.config import BoardConfig, EmulatedServer, ExternalServer, LabConfig
from harness.masking import masked

if TYPE_CHECKING:
    from harness.servers import Rig
    from harness.servers.services.service import Service


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
    return _of_rig(rig(), board) if isinstance(server, EmulatedServer) else _of_lab(server, board)


def _of_rig(rig: Rig, board: BoardConfig) -> ExpectedServer:
    facts = rig.facts(board.name)
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
        cmdline=masked(rig.board(board.name).cmdline),
        http=facts.http or None,
        http_root=str(rig.www) if facts.http else None,
    )


def _of_lab(server: ExternalServer, board: BoardConfig) -> ExpectedServer:
    identity = {"serial_number": board.serial_number, "mac": board.mac}
    source = server.root_source_for(**identity, name=board.name)
    return ExpectedServer(
        dhcp=tuple(server.dhcp),
        tftp=server.tftp.address if server.tftp else None,
        tftp_root=server.tftp.root if server.tftp else None,
        prefix=server.prefix_for(**identity),
        root_kind=server.root.kind if server.root else None,
        root_source=source,
        root_server=source.partition(":")[0] if source else None,
        root_device=source,
        http=server.http_for(**identity, name=board.name),
        http_root=server.http.root if server.http else None,
    )
