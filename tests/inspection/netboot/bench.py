# SPDX-License-Identifier: GPL-2.0-or-later
"""The services of a topology as somebody's own server: `piboot check` runs in the network namespace of the switch."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.images import boot_set
from harness.images.flavours import with_initramfs
from harness.models import MODELS
from harness.servers import Rig, Topology, VirtualBoard
from harness.servers.services.dnsmasq import options_for
from tests.servers.wire import give_client_address

HEAD = """version: 1
name: own
locks: {locks}
wires:
  bench: {{kind: interface, interface: br0}}
servers:
  own: {{kind: external{server}}}
boards:
"""
BOARD = """  {name}: {{model: {model}, serial_number: "{serial}", mac: "{mac}", wire: bench, server: own{more},
     power: {{driver: pdu, url: "http://127.0.0.1:9", hostname: p, port: "{name}"}}}}
"""


def boards(*models: str) -> list[VirtualBoard]:
    made = []
    for number, model in enumerate(models):
        serial = f"5ce8a2{number:02x}"
        oui = "b8:27:eb" if MODELS[model].bootloader == "rom" else "dc:a6:32"
        mac = f"{oui}:{serial[2:4]}:{serial[4:6]}:{serial[6:]}"
        made.append(VirtualBoard(f"{model}-{number}", model, serial, mac))
    return made


def start(topology: Topology, pis: Sequence[VirtualBoard], folder: Path) -> Rig:
    """To be entered by the caller."""
    images = with_initramfs(boot_set("light"), topology.initramfs)
    return Rig(pis, folder, topology=topology, boot_set=images)


@dataclass
class Bench:
    """rig: runs. folder: for lab.yaml and what is printed."""

    rig: Rig
    folder: Path

    def lab(self, server: str, more: Mapping[str, str] | None = None) -> Path:
        """A lab of real boards with the rig's. server: what is described, ", dhcp: [...]"; more: board -> further keys."""
        path = self.folder / "lab.yaml"
        text = HEAD.format(locks=self.folder / "locks", server=server)
        for board in self.rig.boards.values():
            text += BOARD.format(
                name=board.name,
                model=board.model,
                serial=board.serial_number,
                mac=board.mac,
                more=(more or {}).get(board.name, ""),
            )
        path.write_text(text)
        return path

    def check(self, lab: Path, *words: str) -> tuple[int, str]:
        """Exit code and standard output of `piboot check`."""
        give_client_address(self.rig)
        out, err = self.folder / "out", self.folder / "err"
        for path in (out, err):
            path.unlink(missing_ok=True)
        argv = [sys.executable, "-c", "from harness.cli import main; main()", "check", "--lab", str(lab), *words]
        process = self.rig.spawn("client", argv, stdout=out, stderr=err)
        code = process.wait(120)
        assert "Traceback" not in err.read_text(), err.read_text()
        return code, out.read_text()

    def look(self, lab: Path) -> dict[str, dict[str, Any]]:
        """board -> what was seen of its server."""
        _, text = self.check(lab, "--json")
        return {look["board"]: look for look in json.loads(text)["servers"]}


def ids(look: Mapping[str, Any], severity: str = "fault") -> list[str]:
    return [finding["id"] for finding in look["findings"] if finding["severity"] == severity]


__all__ = ["Bench", "boards", "ids", "options_for", "start"]
