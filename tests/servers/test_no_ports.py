# SPDX-License-Identifier: GPL-2.0-or-later
"""No port is opened on the host: the emulated lab's servers, its SNMP agent and its emulated boards live in namespaces."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.board.watch import Blind
from harness.config import loads
from harness.lab import Lab
from harness.run import Run
from harness.servers.programs import system_path
from tests import emulated

pytestmark = [pytest.mark.netns, pytest.mark.qemu]

TEXT = emulated.lab(
    "quiet",
    emulated.board("on-a-switch", power="{driver: emulated, gear: poe-switch}", login=""),
    emulated.board(
        "on-a-relay", "pi3bplus", "8b07bcc6", "b8:27:eb:07:bc:c6", power="{driver: emulated, gear: relay}", login=""
    ),
)

#: Of /proc/net/tcp: LISTEN; of /proc/net/udp: not connected, so that it takes what anybody sends.
_LISTENING = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    frontier = {pid}
    while frontier:
        yield from frontier
        frontier = {child for child, parent in parents.items() if parent in frontier}


def sockets(pids: Iterator[int]) -> set[str]:
    """Inodes of the sockets that the processes hold."""
    found = set()
    for pid in pids:
        for path in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):
                if (target := str(path.readlink())).startswith("socket:["):
                    found.add(target[8:-1])
    return found


def open_ports() -> list[str]:
    """Ports of the host that this process, or one that it started, listens on."""
    mine = sockets(family(os.getpid()))
    found = []
    for table, state in _LISTENING.items():
        path = Path("/proc/self/net") / table
        for row in path.read_text().splitlines()[1:] if path.exists() else ():
            words = row.split()
            if words[3] == state and words[9] in mine:
                found.append(f"{table} {words[1]}")
    return found


class Looking(Blind):
    """Looks at each stage of the boot."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}

    def stage_ended(self, board: str, stage: str, t: float, duration: float) -> None:
        self.seen[stage] = open_ports()


def test_the_look_finds_a_port() -> None:
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert f"tcp 0100007F:{server.getsockname()[1]:04X}" in open_ports()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        assert f"udp 0100007F:{server.getsockname()[1]:04X}" in open_ports()
    assert open_ports() == []


def test_no_port_is_opened_while_a_board_boots(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: the emulated lab's NFS server opens files by handle")
    if shutil.which("snmpd", path=system_path()) is None:
        pytest.skip("needs snmpd: apt install snmpd")
    viewer = Looking()
    with Lab(loads(TEXT), Run.create(tmp_path, lab="quiet"), viewer=viewer) as lab:
        for name, until in (("on-a-relay", "dhcp"), ("on-a-switch", "kernel")):
            boot = lab.board(name).boot(until)
            assert boot.passed, boot.record.reason
        assert open_ports() == []
    assert {"power", "link", "dhcp", "firmware", "kernel"} <= set(viewer.seen)
    assert {stage: ports for stage, ports in viewer.seen.items() if ports} == {}
