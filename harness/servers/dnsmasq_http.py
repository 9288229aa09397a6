# SPDX-License-Identifier: GPL-2.0-or-later
"""Topology `dnsmasq-http`: as `dnsmasq-nfs`, and beside it a web server for boards whose EEPROM says boot mode 7."""

from collections.abc import Sequence
from typing import ClassVar

from harness.errors import ConfigError
from harness.servers.board import VirtualBoard
from harness.servers.boot_image import make
from harness.servers.dnsmasq_nfs import DnsmasqNfs
from harness.servers.services.service import Service
from harness.servers.services.web import Web
from harness.servers.topology import ServerFacts, Site

_MODE = "7"


class DnsmasqHttp(DnsmasqNfs):
    """Each board that boots over HTTP has boot.img and boot.sig of its own, made of its TFTP files, below its HTTP_PATH."""

    name: ClassVar[str] = "dnsmasq-http"

    def netboot(self, site: Site) -> Sequence[Service]:
        (host,) = self.hosts
        wanted = [board for board in site.boards if over_http(board)]
        folders: dict[str, str] = {}
        for board in wanted:
            folder = _folder(board)
            if folder in folders:
                raise ConfigError(
                    f"boards {folders[folder]} and {board.name} have the same HTTP_PATH {folder!r}, and so the same boot.img",
                    remedy="give each a path of its own, e.g. its serial number",
                )
            folders[folder] = board.name
            make(site.tftp_root / board.folder, site.www / folder)
        ports = sorted({_port(board) for board in wanted})
        webs = [Web(site.keeper, host.name, site.folder, address=host.ip, port=port, root=site.www) for port in ports]
        return [*super().netboot(site), *webs]

    def facts(self, board: VirtualBoard) -> ServerFacts:
        found = super().facts(board)
        if not over_http(board):
            return found
        return found.with_http(f"http://{found.tftp_server}:{_port(board)}/{_folder(board)}/")


def over_http(board: VirtualBoard) -> bool:
    """Whether its BOOT_ORDER, read from the right, comes to HTTP before it comes to TFTP."""
    order = f"{int(board.eeprom.get('BOOT_ORDER') or '0', 0):x}"[::-1]
    return _MODE in order and _MODE in order.partition("2")[0]


def _port(board: VirtualBoard) -> int:
    return int(board.eeprom.get("HTTP_PORT") or 80)


def _folder(board: VirtualBoard) -> str:
    """As the bootloader asks for it. Raises ConfigError for what is no folder below the server's root."""
    folder = (board.eeprom.get("HTTP_PATH") or "net_install").strip("/")
    if not all(part and part.strip(".") for part in folder.split("/")):
        raise ConfigError(f"board {board.name} has the HTTP_PATH {folder!r}", remedy='write a folder: "net_install"')
    return folder
