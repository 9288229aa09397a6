# SPDX-License-Identifier: GPL-2.0-or-later
"""The rig: an emulated lab on one machine, with real servers, in namespaces that vanish with it."""

import json
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.errors import ConfigError, HarnessBug, InfraError
from harness.folders import new_folder
from harness.servers.board import BoardPort, BootSetLike, VirtualBoard
from harness.servers.boot_files import lay_out
from harness.servers.carrier import has_carrier
from harness.servers.keeper_client import Keeper
from harness.servers.process import Process
from harness.servers.roots import RootStore
from harness.servers.scratch import Scratch
from harness.servers.services.cable import BadCable
from harness.servers.services.service import Service
from harness.servers.topologies import topology_named
from harness.servers.topology import ServerFacts, Site, Topology

CLIENT = "client"
SWITCH = "br0"
_EMULATOR_TIMEOUT = 20.0


def _silent(_line: str) -> None:
    pass


class Rig(AbstractContextManager["Rig"]):
    """`with Rig(boards, folder, boot_set=...) as rig:` - the servers answer, the boards' switch ports are there.

    folder: the run's; logs and configurations are kept in `logs` (folder/server/, server-2/ ...), those of a board's emulator
    in folder/<board>/.
    boot_set: None for DHCP and TFTP without files and root file systems. Without root rights there is no NFS server.
    Raises InfraError when something does not start; nothing is left running then.
    """

    keeper: Keeper

    def __init__(
        self,
        boards: Sequence[VirtualBoard],
        folder: Path,
        *,
        topology: str | Topology = "dnsmasq-nfs",
        boot_set: BootSetLike | None = None,
        progress: Callable[[str], None] = _silent,
    ) -> None:
        self.boards = {board.name: board for board in boards}
        for what in ("name", "serial_number", "mac"):
            values = [getattr(board, what) for board in boards]
            for value in {value for value in values if values.count(value) > 1}:
                raise ConfigError(
                    f"several boards have the {what.replace('_', ' ')} {value}", remedy="give each its own"
                )
        self.folder = folder.absolute()
        self.logs = self.folder / "server"
        self.topology = _topology(topology)
        self.boot_set = boot_set
        self.services: dict[str, Service] = {}
        self.roots: RootStore | None = None
        self._progress = progress
        self._emulators: dict[str, Process] = {}
        self._consoles: dict[str, str] = {}
        self._stack = ExitStack()

    # Life ---------------------------------------------------------------------------------------------------------------

    def __enter__(self) -> "Rig":
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything: emulators and servers in order, then whatever is left at once. Safe to repeat."""
        self._stack.close()

    def _start(self) -> None:
        logs = self.logs
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            logs = self.logs = new_folder(self.folder, "server")
        except OSError as error:
            raise InfraError(f"no folder for the emulated lab's logs: {error}", place=str(logs)) from error
        self._progress("network")
        self._scratch = self._stack.enter_context(Scratch())
        self.keeper = self._stack.enter_context(Keeper(logs / "keeper.log", lock=self._scratch.lock))
        ports = self._build_network()
        self.tftp_root = self._scratch.path / "tftp"
        self.tftp_root.mkdir()
        for board in self.boards.values():
            self._progress(f"boot files of {board.name}")
            lay_out(self.tftp_root, board, self.topology, self.boot_set)
        site = Site(self.keeper, logs, self._scratch.path, self.tftp_root, list(self.boards.values()), self.boot_set)
        self.www = site.www
        setup = self.topology.setup(site)
        self.roots = roots = setup.roots
        if roots is not None:
            for board in self.boards.values():
                roots.prepare(board)
        for service in setup.services:
            self.add_service(service)
        if roots is not None:
            for board in self.boards.values():
                roots.serve(board)
        self._connect_boards()
        # Not for the switch's own interface, which takes up to a second more and which no board speaks to.
        self.keeper.wait_up(CLIENT, ports)

    def _build_network(self) -> list[str]:
        keeper = self.keeper
        keeper.add_host(CLIENT)
        keeper.add_bridge(CLIENT, SWITCH)
        ports = []
        for host in self.topology.hosts:
            self.add_host(host.name, host.address, host.interface)
            ports.append(f"to-{host.name}")
        for number, board in enumerate(self.boards.values()):
            if board.cable is None:
                keeper.add_tap(CLIENT, f"tap-{number}", SWITCH)
            else:
                keeper.add_tap(CLIENT, f"tap-{number}")
                keeper.add_cable(CLIENT, f"cable-{number}", CLIENT, SWITCH, f"to-tap-{number}")
                ports.append(f"to-tap-{number}")
        return ports

    def _connect_boards(self) -> None:
        """The bad cables carry, each in its way."""
        for number, board in enumerate(self.boards.values()):
            if board.cable is not None:
                ends = {"tap": f"tap-{number}", "switch": f"cable-{number}"}
                cable = BadCable(self.keeper, CLIENT, self.logs, board=board.name, faults=board.cable, **ends)
                self.add_service(cable)

    # What there is ------------------------------------------------------------------------------------------------------

    @property
    def server_address(self) -> str:
        """The address of the topology's first host."""
        return self.topology.hosts[0].ip

    def facts(self, name: str) -> ServerFacts:
        """What a boot of a board should show."""
        return self.topology.facts(self.boards[name])

    def board(self, name: str) -> BoardPort:
        """Where a board is reached; `console` is set once its emulator has been started."""
        board = self.boards[name]
        number = list(self.boards).index(name)
        return BoardPort(
            tap=f"tap-{number}",
            control_socket=self._scratch.sockets / f"{number}.sock",
            status=self._scratch.path / f"emulator-{number}.json",
            cmdline=self._cmdline(board),
            console=self._consoles.get(name, ""),
        )

    def _cmdline(self, board: VirtualBoard) -> str:
        wanted = self.topology.cmdline(board)
        own = self.boot_set.own if self.boot_set is not None else None
        # It goes into JSON, where what is no UTF-8 cannot stand.
        return own.cmdline(wanted).encode("utf-8", "replace").decode() if own else wanted

    def carrier(self, name: str) -> bool:
        """Whether a board's switch port has a link: the board, or the virtual machine that it became, holds the other end."""
        port = self.board(name)
        with self.keeper.socket(port.host, socket.AF_INET, socket.SOCK_DGRAM) as probe:
            return has_carrier(probe, port.tap)

    # What can be done ---------------------------------------------------------------------------------------------------

    def spawn(self, host: str, argv: Sequence[str], **options: Any) -> Process:
        """Start a program in a host; the options are those of Keeper.spawn."""
        return self.keeper.spawn(host, argv, **options)

    def add_host(self, name: str, address: str, interface: str = "eth0") -> None:
        """Plug one more machine into the boards' switch, for a topology's host, or for a fault (a second DHCP server)."""
        self.keeper.add_host(name)
        self.keeper.add_cable(name, interface, CLIENT, SWITCH, f"to-{name}")
        self.keeper.add_address(name, interface, address)

    def add_service(self, service: Service) -> None:
        """Start a service, which is stopped with the rig."""
        if service.name in self.services:
            raise HarnessBug(f"two services of a rig are called {service.name}")
        self._progress(f"{service.name} on {service.host}")
        self.services[service.name] = service
        service.start()
        self._stack.callback(service.stop)

    def reset_root(self, name: str) -> None:
        """Give a board a clean root file system for its next boot; to be called while it is off. Other boards go on."""
        if self.roots is not None:
            self.roots.reset(self.boards[name])

    def start_emulator(self, name: str) -> Process:
        """Start the software Pi of a board, unpowered, and wait until its console and its power socket are there."""
        board, port = self.boards[name], self.board(name)
        artefacts = self.folder / name
        artefacts.mkdir(parents=True, exist_ok=True)
        log = artefacts / "emulator.log"
        config = artefacts / "emulator.json"
        entry = {
            key: getattr(board, key)
            for key in (
                "name",
                "model",
                "serial_number",
                "mac",
                "revision",
                "speed",
                "bootloader",
                "machine",
                "memory",
                "repeats",
            )
        }
        entry |= {"otp": dict(board.otp)} if board.otp else {}
        entry |= {"eeprom": dict(board.eeprom), "tap": port.tap, "control": str(port.control_socket)}
        entry |= {"status": str(port.status), "artefacts": str(artefacts), "log": str(log)}
        config.write_text(json.dumps({"boards": [entry]}, indent=2) + "\n", encoding="utf-8")
        port.status.unlink(missing_ok=True)
        process = self.keeper.spawn(
            port.host,
            [sys.executable, "-P", "-u", "-m", "harness.emulator", str(config)],
            stdout=log,
            stderr=log,
        )
        self._emulators[name] = process
        self._stack.callback(process.stop)
        self._consoles[name] = self._await_emulator(name, process, port.status, log)
        return process

    def emulator(self, name: str) -> Process | None:
        """The process of a board's emulator; its `returncode` is set once it has died."""
        return self._emulators.get(name)

    def _await_emulator(self, name: str, process: Process, status: Path, log: Path) -> str:
        deadline = time.monotonic() + _EMULATOR_TIMEOUT
        while True:
            # Absent or half-written until it is ready.
            with suppress(OSError, ValueError):
                found = json.loads(status.read_text(encoding="utf-8"))
                if found.get("state") == "ready":
                    return str(found["console"])
            if process.ended(0.02):
                raise InfraError(
                    f"the emulator of board {name} ended with code {process.returncode}" + process.last_words(),
                    place=str(log),
                )
            if time.monotonic() > deadline:
                process.stop()
                raise InfraError(
                    f"the emulator of board {name} was not ready within {_EMULATOR_TIMEOUT:g} s" + process.last_words(),
                    place=str(log),
                )


def _topology(which: str | Topology) -> Topology:
    return topology_named(which) if isinstance(which, str) else which
