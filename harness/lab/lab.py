# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: opens what lab.yaml describes, and lends its boards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.board import Board
from harness.board.gear import Gear, Pulse, emulated_console
from harness.board.losing import LinkDown, local_carrier
from harness.board.watch import Blind, Viewer
from harness.boot.expect import Expectation, ExpectedServer
from harness.boot.stages import STAGES
from harness.config import (
    BoardConfig,
    EmulatedServer,
    ExternalServer,
    InterfaceWire,
    LabConfig,
)
from harness.errors import ConfigError, InfraError
from harness.lab.captures import rig_capture
from harness.lab.guests import Guests, folder_for
from harness.lab.lending import Lending
from harness.lab.places import capture_of, console_of
from harness.lab.served import Server, expected
from harness.models import MODELS
from harness.run import Run

if TYPE_CHECKING:
    from types import TracebackType

    from harness.lab.booting import OwnImage
    from harness.lab.feeds import Feeds
    from harness.servers import Rig


class Lab(AbstractContextManager["Lab"]):
    """An opened lab. Emulated servers start when the first board that needs them is lent, and end with the lab.

    names: the boards that will be used (all when None): an emulated lab makes switch ports for these only. wait: seconds to
    wait for a board that another run has; policy.wait when None. looks_on: nobody's power is touched, not even that of boards
    which killed runs have left.
    """

    def __init__(
        self,
        config: LabConfig,
        run: Run,
        *,
        names: Iterable[str] | None = None,
        viewer: Viewer | None = None,
        progress: Callable[[str], None] = lambda _line: None,
        wait: float | None = None,
        looks_on: bool = False,
    ) -> None:
        self.config = config
        self.run = run
        self._names = list(config.boards if names is None else names)
        for name in self._names:
            self._board_config(name)
        self._looks_on = looks_on
        self._viewer = viewer or Blind()
        self._progress = progress
        self._rigs: dict[str, Rig] = {}
        self._images: dict[str, OwnImage] = {}
        self._feeds: dict[str, Feeds] = {}
        self._boards: dict[str, Board] = {}
        self._lending = Lending(config, run, waiting=self._viewer.progress, wait=wait)
        self._stack = ExitStack()
        # A lab without a file of its own shares its turns with nobody but the processes of its run.
        key = str(Path(config.path).resolve()) if config.path else str(run.folder.resolve())
        self._guests = Guests(folder_for(key), config.emulation.guests)

    def __enter__(self) -> Lab:
        """InfraError: the folder of the boards' locks is not fit."""
        for line in self._lending.put_in_order([] if self._looks_on else self.config.boards):
            self._progress(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Boards off (unless the lab's policy keeps them), then the emulated servers; safe to repeat.

        Every board is tried: one power port that does not obey must not leave the others on. Then its InfraError is raised.
        """
        with ExitStack() as stack:
            stack.callback(self._lending.close)
            stack.callback(self._guests.close)  # last of its own: until their rig is gone, its virtual machines run
            stack.callback(self._rigs.clear)
            stack.callback(self._feeds.clear)
            stack.push(self._stack.pop_all())
            stack.callback(self._boards.clear)
            for name, board in self._boards.items():
                # An emulated board is off when its rig is gone, even if its emulator no longer answers.
                stack.callback(board.release if board.expectation.emulated else partial(self.give_back, name))

    @property
    def boards(self) -> list[str]:
        """Names of the boards that this lab lends."""
        return list(self._names)

    def board(self, name: str) -> Board:
        """Lend a board; with its first boot it is ours alone, until it is given back.

        ConfigError when there is none of that name; InfraError when its gear cannot be opened.
        """
        if name not in self._boards:
            config = self._board_config(name)
            self._boards[name] = self._emulated(config) if config.emulated else self._real(config)
        return self._boards[name]

    def give_back(self, name: str) -> None:
        """The board is not needed for now: off, or as it is when the lab's policy keeps it, and another run may have it. An
        emulated board is always off then. InfraError: its power port does not obey. Nothing happens when it was not lent.
        """
        board = self._boards.get(name)
        if board is None:
            return
        in_order = board.expectation.emulated  # it ends with its rig at the latest
        try:
            keep = not board.expectation.emulated and self.config.policy.after_run == "keep"
            # What was taken from us is not ours to switch.
            board.release() if keep or not self._lending.leases.has(name) else board.off()
            in_order = True
        finally:
            board.given_back()
            self._lending.give_back(name, in_order=in_order)

    def server_of(self, name: str) -> Server:
        """The netboot server of a board. ConfigError when lab.yaml names none."""
        config = self._board_config(name)
        if config.server is None:
            raise ConfigError(f"board {name} has no `server:`", place=self.config.path, remedy="name one of `servers:`")
        server = self.config.servers[config.server]
        if isinstance(server, ExternalServer):
            root = server.tftp.root if server.tftp is not None else None
            return Server(config.server, self._expected(config), Path(root) if root else None)
        rig = self._rig(config.server)
        return Server(config.server, self._expected(config), rig.tftp_root, rig.services)

    def rig_of(self, name: str) -> Rig:
        """The emulated lab behind an emulated board, for tests that break it. ConfigError for a real board."""
        config = self._board_config(name)
        if not config.emulated or config.server is None:
            raise ConfigError(f"board {name} is not emulated: it has no rig")
        return self._rig(config.server)

    # -- what the boards are made of ---------------------------------------------------------------------------------

    def _board_config(self, name: str) -> BoardConfig:
        try:
            return self.config.boards[name]
        except KeyError:
            known = ", ".join(self.config.boards)
            raise ConfigError(
                f"there is no board {name!r}", place=self.config.path, remedy=f"choose of: {known}"
            ) from None

    def _expected(self, config: BoardConfig) -> ExpectedServer:
        found = expected(self.config, config, lambda: self._rig(config.server or ""))
        own = self._images.get(config.name)
        return found.model_copy(update={"image": own.expected}) if own is not None else found

    def _make(self, config: BoardConfig, gear: Gear) -> Board:
        model = MODELS[config.model]
        expectation = Expectation(
            board=config.name,
            model=config.model,
            serial_number=config.serial_number,
            mac=config.mac,
            emulated=config.emulated,
            speed=config.speed,
            budgets=config.budgets_for(model),
            server=self._expected(config),
            login_user=config.login.user if config.login else None,
            has_console=gear.open_console is not None,
            has_wire=gear.open_capture is not None,
        )
        login = config.login
        return Board(
            name=config.name,
            model=config.model,
            expectation=expectation,
            gear=gear,
            run=self.run,
            user=login.user if login else None,
            password=lambda: login.password.resolve() if login is not None and login.password is not None else None,
            off_time=0.0 if config.emulated else self.config.policy.off_time,
            viewer=self._viewer,
        )

    # -- emulated boards ---------------------------------------------------------------------------------------------

    def _rig(self, server_name: str) -> Rig:
        if server_name not in self._rigs:
            from harness.lab.booting import images_for  # noqa: PLC0415 - real labs need none of this
            from harness.lab.virtual_boards import virtual_board  # noqa: PLC0415
            from harness.servers import Rig, TopologyOptions, topology_named  # noqa: PLC0415

            server = self.config.servers[server_name]
            if not isinstance(server, EmulatedServer):
                raise ConfigError(f"server {server_name} is not emulated", place=self.config.path)
            boards = [
                virtual_board(config)
                for name in self._names
                if (config := self.config.boards[name]).server == server_name
            ]
            topology = topology_named(server.topology, TopologyOptions(nfs=server.nfs, ceph_mgr=server.ceph_mgr))
            users = {name: board.login.user for name, board in self.config.boards.items() if board.login is not None}
            images, told = images_for(server, boards, users, topology, self.run, self._progress)
            self._images.update(told)
            rig = Rig(boards, self.run.folder, topology=topology, boot_set=images, progress=self._progress)
            self._rigs[server_name] = self._stack.enter_context(rig)
        return self._rigs[server_name]

    def _emulated(self, config: BoardConfig) -> Board:
        from harness.emulator.qemu_program import too_old  # noqa: PLC0415
        from harness.power.virtual import VirtualPort  # noqa: PLC0415

        too_old(config.emulation.machine, f"{self.config.path}: boards.{config.name}.emulation.machine")
        rig = self._rig(config.server or "")
        rig.start_emulator(config.name)
        port = rig.board(config.name)
        power = VirtualPort(port.control_socket, board=config.name)
        feeds = self._feeds_of(config.server or "")
        feeds.ready(config.name)
        gear = Gear(
            power=lambda folder: feeds.port(config.name, power, folder),
            open_console=emulated_console(port.console),
            open_capture=rig_capture(rig, port.host, port.tap, config.mac),
            prepare=lambda until: self._prepare(rig, config.name, until),
            alive=Pulse(rig, config.name, power),
            claim=lambda: self._lending.claim(config.name),
            released=lambda: self._guests.give_back(config.name),
            signs=lambda: (LinkDown(lambda: rig.carrier(config.name)),),
            rebooting=power.begin,
        )
        return self._make(config, gear)

    def _prepare(self, rig: Rig, name: str, until: str) -> None:
        """Wait for the board's turn, then a fresh root. InfraError; ConfigError when its image's kernel cannot be booted here."""
        if name in self._images:
            self._images[name].check(until)
        self._guests.take(name, lambda text: self._viewer.progress(name, text))
        _clean_root(rig, name, until)

    def _feeds_of(self, server: str) -> Feeds:
        if server not in self._feeds:
            from harness.lab.feeds import Feeds  # noqa: PLC0415

            mine = {name: board for name in self._names if (board := self.config.boards[name]).server == server}
            self._feeds[server] = Feeds(self._rig(server), mine)
            self._stack.callback(self._feeds[server].close)
        return self._feeds[server]

    # -- real boards -------------------------------------------------------------------------------------------------

    def _real(self, config: BoardConfig) -> Board:
        wire, place = self.config.wire_of(config), self._lending.place(config.name)
        gear = Gear(
            power=lambda _folder: self._lending.port(config.name),
            open_console=console_of(config, place),
            open_capture=capture_of(self.config, config, place),
            signs=lambda: (
                (LinkDown(lambda: local_carrier(wire.interface)),)
                if isinstance(wire, InterfaceWire) and wire.direct
                else ()
            ),
            alive=lambda: self._lending.leases.check(config.name),
            claim=lambda: self._lending.claim(config.name),
        )
        return self._make(config, gear)


def _clean_root(rig: Rig, name: str, until: str) -> None:
    """A fresh root for the board's next boot. InfraError when it has none and one is needed."""
    if rig.roots is None and STAGES.index(until) >= STAGES.index("root"):
        raise InfraError(
            "without root rights the emulated lab serves no root file system: its NFS server opens files by handle",
            remedy="run it as root (sudo .venv/bin/piboot boot), or follow the boot only so far: piboot boot --until initramfs",
        )
    rig.reset_root(name)
