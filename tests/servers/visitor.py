# SPDX-License-Identifier: GPL-2.0-or-later
"""A program for an ordinary user: starts a rig, asks for a lease and a file as a board does, and tells in JSON what came.

visitor.py FOLDER    the rig has one board if the user may write to /dev/net/tun, else none
"""

import json
import os
import shutil
import sys
from pathlib import Path

from harness.power.virtual import VirtualPort
from harness.servers import Rig
from harness.servers.poe import EmulatedPoe
from harness.servers.programs import system_path
from harness.servers.relays import EmulatedRelays
from tests.servers.conftest import BOARDS
from tests.servers.holder import BootSet
from tests.servers.wire import Card, give_client_address


def switched(rig: Rig, name: str) -> list[str]:
    """The states of a board that is switched by an SNMP agent, and by a relay."""
    rig.start_emulator(name)
    board = VirtualPort(rig.board(name).control_socket)
    states = []
    relays = EmulatedRelays(rig, [name])
    ports = [relays.port(name, rig.folder / name)]
    if shutil.which("snmpd", path=system_path()):
        ports.append(EmulatedPoe(rig, [name]).port(name, rig.folder / name))
    for port in ports:
        port.on()
        states.append(board.state())
        port.off()
        states.append(board.state())
    relays.close()
    return states


def main() -> None:
    folder = Path(sys.argv[1])
    boards = BOARDS[:1] if os.access("/dev/net/tun", os.R_OK | os.W_OK) else ()
    told: dict[str, object] = {"user": os.geteuid(), "boards": len(boards)}
    boot_set = BootSet(folder, block=False)
    with Rig(boards, folder / "run", boot_set=boot_set) as rig:
        told["services"] = {name: service.running for name, service in rig.services.items()}
        if boards:
            with Card(rig, BOARDS[0].name) as card:
                told["servers"] = [list(offer[54][0]) for offer in card.offers(5)]
            told["gear"] = switched(rig, BOARDS[0].name)
        (rig.tftp_root / "file").write_bytes(os.urandom(100_000))
        (rig.tftp_root / "file").chmod(0o644)
        give_client_address(rig)
        got = folder / "got"
        fetch = ["curl", "-sS", "-o", str(got), "tftp://10.77.0.1/file"]
        told["curl"] = rig.spawn("client", fetch, stderr=folder / "curl.log").wait(60)
        told["same"] = got.read_bytes() == (rig.tftp_root / "file").read_bytes()
    told["left"] = sorted(path.name for path in Path(os.environ["PIBOOT_SCRATCH"]).iterdir())
    print(json.dumps(told))


if __name__ == "__main__":
    main()
