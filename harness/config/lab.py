# SPDX-License-Identifier: GPL-2.0-or-later
"""The typed lab.yaml, version 1. The docstrings here are the reference (docs/lab-yaml.md) and the editors' help."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from harness.config.board import BoardConfig
from harness.config.faults import WireFaults
from harness.config.labgrid import LabgridLab
from harness.config.server import EmulatedServer, ExternalServer, Server
from harness.config.values import AbsolutePath, Name, Section, Speed
from harness.config.wire import EmulatedWire, InterfaceWire, LabgridWire, SshWire, Wire


class EmulationDefaults(Section):
    """How the emulated boards of this lab run, unless a board says otherwise."""

    speed: Speed = 1.0
    """How many times faster than a real board the boot ROM's and bootloader's waiting times pass. 1: real time. Kernel
    and system are not made faster by it."""

    guests: Annotated[int, Field(strict=True, ge=1, le=64)] = 2
    """How many virtual machines of this lab may run at once on this machine, over all pytest workers; further boards wait for
    their turn, before power-on. A board gives its turn back when it is switched off."""

    wire: WireFaults | None = Field(default=None, examples=[{"lose_data": [5]}])
    """What is wrong with the boards' cables; nothing when absent."""


class Policy(Section):
    """How boards are treated, and what a run leaves behind."""

    after_run: Literal["off", "keep"] = "off"
    """Power of the boards after the run, also after one that was killed: off, or as the last test left it."""

    off_time: Annotated[float, Field(strict=True, ge=0, le=600)] = 2.0
    """Seconds that a real board stays without power before it is switched on again, counted from the port's confirmed off:
    until the capacitors of board and PoE HAT are empty. At least 1 for the console to prove the loss of power."""

    wait: Annotated[float, Field(strict=True, ge=0, le=86400)] = 3600.0
    """Seconds to wait for a board that another run has. 0: fail at once. `--wait` says otherwise for one run."""


class LabConfig(Section):
    """A lab: its wires, netboot servers and boards."""

    # `x-…` keys hold YAML anchors and other tools' data: the loader drops them, and editors are told to let them pass.
    model_config = ConfigDict(json_schema_extra={"patternProperties": {"^x-": {}}})

    version: Literal[1]
    """Version of this format."""
    name: Name = Field(examples=["bench-3"])
    """Name of the lab; it stands in reports."""
    emulation: EmulationDefaults = Field(default_factory=EmulationDefaults, examples=[{"speed": 4, "guests": 2}])
    """Defaults of emulated boards."""
    wires: dict[Name, Wire] = Field(default_factory=dict, examples=[{"bench": {"kind": "emulated"}}])
    """Network interfaces where packets are seen, by name."""
    servers: dict[Name, Server] = Field(default_factory=dict, examples=[{"netboot": {"kind": "emulated"}}])
    """Netboot servers, by name."""
    boards: dict[Name, BoardConfig] = Field(min_length=1, examples=[{"pi4-a": {"model": "pi4"}}])
    """Boards, by name."""
    labgrid: LabgridLab | None = Field(default=None, examples=[{"coordinator": "lab-server:20408"}])
    """The labgrid coordinator whose places some boards are."""
    policy: Policy = Field(default_factory=Policy, examples=[{"after_run": "off"}])
    """How boards are left after a run, and shared with others."""
    locks: AbsolutePath | None = Field(default=None, examples=["/srv/lab/locks"])
    """Folder of the boards' locks, the same for all users of this lab's host, who need to write there; /run/lock/piboot when
    absent. It is made when it is not there."""

    _path: str = PrivateAttr("")

    @model_validator(mode="after")
    def _hand_down(self) -> "LabConfig":
        for name, board in self.boards.items():
            board._name = name
            board._speed = board.emulation.speed or self.emulation.speed
            board._cable = self.emulation.wire if board.emulation.wire is None else board.emulation.wire
        return self

    @property
    def path(self) -> str:
        """The file that this was read from, as it was named; "" when it came from a text."""
        return self._path

    @property
    def emulated(self) -> bool:
        """Whether any board is emulated (a rig is needed)."""
        return any(board.emulated for board in self.boards.values())

    def wire_of(self, board: BoardConfig) -> EmulatedWire | InterfaceWire | SshWire | LabgridWire | None:
        return self.wires[board.wire] if board.wire is not None else None

    def server_of(self, board: BoardConfig) -> EmulatedServer | ExternalServer | None:
        return self.servers[board.server] if board.server is not None else None

    def with_speed(self, speed: float) -> "LabConfig":
        """A copy in which every emulated board runs at `speed`, whatever the file says. ValueError out of 0.1-1000."""
        if not 0.1 <= speed <= 1000:
            raise ValueError(f"speed {speed} is not between 0.1 and 1000")
        copy = self.model_copy(deep=True)
        for board in copy.boards.values():
            board._speed = speed
        return copy

    def dump(self) -> dict[str, Any]:
        """What was read, as plain data for records and reports. It holds no secret: only where secrets are kept."""
        return self.model_dump(mode="json", exclude_none=True)
