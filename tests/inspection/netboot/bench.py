# SPDX-License-Identifier: GPL-2.0-or-later
"""The services of a topology as somebody's own server: `piboot check` runs in the network namespace of the switch."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.images import boot_set
from harness.images.flavours import with_initramfs
from harness.models import MODELS
from harness.servers import Rig, Topology, VirtualBoard
from tests.servers.wire import give_client_address

#: /sys/class/net shows the interfaces of the network namespace in which it was mounted.
OWN_SYSFS = ("unshare", "--mount", "sh", "-c", 'mount -t sysfs none /sys && exec "$@"', "sh")
HEAD = """version: 1
name: own
locks: {locks}
wires:
  bench: {{kind: interface, interface: {wire}}}
servers:
  own: {{kind: external{server}}}
boards:
"""
BOARD = """  {name}: {{model: {model}, serial_number: "{serial}", mac: "{mac}", wire: bench, server: own{more},
     power: {{driver: command, on: ["true", {name}], off: ["true", {name}],
             read_back: {{command: [echo, "off"], on: {{output: "^on"}}, off: {{output: "^off"}}}}}}}}
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
    """rig: runs. folder: for lab.yaml and what is printed.

    Nothing boots here: kernels and initramfs are cut short, as every test fetches them.
    """

    rig: Rig
    folder: Path

    def __post_init__(self) -> None:
        for name in ("kernel8.img", "initramfs8"):
            for path in self.rig.tftp_root.rglob(name):
                os.truncate(path, 300_000)

    def lab(self, server: str, *only: str, more: Mapping[str, str] | None = None, wire: str = "br0") -> Path:
        """A lab of real boards with the rig's identities. server: what is described, ", dhcp: [...]", ROOT for the TFTP root;
        only: names of boards, all when there are none; more: board -> further keys; wire: the interface."""
        path = self.folder / "lab.yaml"
        server = server.replace("ROOT", str(self.rig.tftp_root))
        text = HEAD.format(locks=self.folder / "locks", server=server, wire=wire)
        for board in self.rig.boards.values():
            if only and board.name not in only:
                continue
            text += BOARD.format(
                name=board.name,
                model=board.model,
                serial=board.serial_number,
                mac=board.mac,
                more=(more or {}).get(board.name, ""),
            )
        path.write_text(text)
        return path

    def check(self, lab: Path, *words: str, host: str = "client", before: Sequence[str] = ()) -> tuple[int, str]:
        """Exit code and standard output of `piboot check` on one of the rig's hosts. before: a program that starts it."""
        give_client_address(self.rig)
        out, err = self.folder / "out", self.folder / "err"
        for path in (out, err):
            path.unlink(missing_ok=True)
        argv = [*OWN_SYSFS, *before, sys.executable, "-P", "-m", "harness.cli", "check", "--lab", str(lab), *words]
        process = self.rig.spawn(host, argv, stdout=out, stderr=err)
        code = process.wait(240)
        assert "Traceback" not in err.read_text(), err.read_text()
        return code, out.read_text()

    def looks(self, lab: Path, **options: Any) -> dict[str, dict[str, Any]]:
        """board -> what was seen of its server."""
        code, text = self.check(lab, "--json", **options)
        found = {look["board"]: look for look in json.loads(text)["servers"]}
        assert code != 0 or all(look["ok"] for look in found.values())
        return found

    def look(self, lab: Path, **options: Any) -> dict[str, Any]:
        """The same of the only board."""
        (found,) = self.looks(lab, **options).values()
        return found


def ids(look: Mapping[str, Any], severity: str = "fault") -> list[str]:
    """Of the findings."""
    return [finding["id"] for finding in look["findings"] if finding["severity"] == severity]


def points(look: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(state, what was said) of the root's server."""
    return [(point["state"], f"{point['what']}: {point['said']}") for point in look["root"]]
