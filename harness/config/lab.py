# SPDX-License-Identifier: GPL-2.0-or-later
"""The typed lab.yaml, version 1. The docstrings here are the reference (docs/lab-yaml.md) and the editors' help."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from harness.config.console import EmulatedConsole, SerialConsole
from harness.config.eeprom import Eeprom, ReleaseDate, check_eeprom
from harness.config.faults import WireFaults
from harness.config.gear import (
    Console,
    EmulatedPower,
    Login,
    PluginPower,
    Power,
)
from harness.config.labgrid import LabgridLab, LabgridPower, PlaceName
from harness.config.machine import check_machine
from harness.config.otp import Flag, Otp, SdCard, check_rom
from harness.config.server import EmulatedServer, ExternalServer, Server
from harness.config.values import (
    AbsolutePath,
    Label,
    Mac,
    ModelName,
    Name,
    Revision,
    Seconds,
    Section,
    SerialNumber,
    Speed,
)
from harness.config.wire import EmulatedWire, InterfaceWire, LabgridWire, SshWire, Wire
from harness.models import Model

#: Stage budgets of emulated boards, seconds, where they differ from the model's. QEMU without KVM runs the kernel and
#: the guest's system many times slower than a Pi does; mmdebstrap's Debian reaches login in 33-37 s on a quiet 2-core
#: machine and in about 100 s beside two other guests. power to firmware are the model's: those stages are our
#: emulator, which is never slower than a board.
EMULATED_BUDGETS: Mapping[str, float] = MappingProxyType(
    {"kernel": 60.0, "initramfs": 90.0, "root": 60.0, "userspace": 180.0, "login": 30.0}
)

#: As above, of boards whose power labgrid switches: each look at it is a process of labgrid's client, 0.7 s of processor time.
LABGRID_BUDGETS: Mapping[str, float] = MappingProxyType({"power": 30.0})


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


class BoardEmulation(Section):
    """How one emulated board runs."""

    speed: Speed | None = None
    """As `emulation.speed`, for this board."""

    wire: WireFaults | None = Field(default=None, examples=[{"spanning_tree": 30.0}])
    """As `emulation.wire`, for this board; `{}` is a sound cable."""

    machine: Literal["virt", "raspi3b", "raspi4b"] = "virt"
    """QEMU machine that the received kernel is booted in. `virt` is fast and makes its own device tree. `raspi3b`, for a
    `pi3b` or `pi3bplus`, and `raspi4b`, for a `pi4`, take the delivered one, less what QEMU lacks of the board; their USB network
    moves about 160 kB/s, so use them with `root: light`. `raspi4b` needs QEMU 9.0 or newer."""

    memory: Annotated[int, Field(strict=True, ge=128, le=8192)] = 512
    """Memory of the virtual machine, MiB. `raspi3b` always has 1024, `raspi4b` 2048."""

    boot_files: Literal["folder", "root"] = "folder"
    """Where the emulated server has the board's boot files: `folder`, where its bootloader asks for them first, or `root`, in the
    TFTP root, which it falls back to. Only one board of a server can have them there."""

    repeats: Literal["answered", "hang"] = "answered"
    """What the board's start*.elf makes of a DATA block that arrives twice: it answers twice, or, as that of 2021-09-28, it
    hangs. `wire: {duplicate_data: [5]}` sends it one."""

    strict: Flag = True
    """The boot ROM of a `pi2b` or `pi3b` has its bugs: it acts on an offer only when a packet comes a second after its
    DISCOVER, takes none from a relay, and knows no gateway. The other models have none of them."""


class Budgets(Section):
    """How long each stage of a boot may take, seconds, where the model's figures do not fit."""

    power: Seconds | None = None
    """Power command to power confirmed."""
    link: Seconds | None = None
    """Power to link-up."""
    dhcp: Seconds | None = None
    """First DISCOVER to the accepted lease."""
    firmware: Seconds | None = None
    """Accepted lease to the kernel's first line: all transfers."""
    kernel: Seconds | None = None
    """The kernel's first line to the start of its initramfs."""
    initramfs: Seconds | None = None
    """Start of the initramfs to the mount of the root file system."""
    root: Seconds | None = None
    """Mount of the root file system to the start of its init."""
    userspace: Seconds | None = None
    """Start of init to the login prompt."""
    login: Seconds | None = None
    """Login prompt to a shell that answers."""


class Policy(Section):
    """How boards are treated, and what a run leaves behind."""

    after_run: Literal["off", "keep"] = "off"
    """Power of the boards after the run, also after one that was killed: off, or as the last test left it."""

    off_time: Annotated[float, Field(strict=True, ge=0, le=600)] = 2.0
    """Seconds that a real board stays without power before it is switched on again, counted from the port's confirmed off:
    until the capacitors of board and PoE HAT are empty. At least 1 for the console to prove the loss of power."""

    wait: Annotated[float, Field(strict=True, ge=0, le=86400)] = 3600.0
    """Seconds to wait for a board that another run has. 0: fail at once. `--wait` says otherwise for one run."""


def _power_or_place(schema: dict[str, Any]) -> None:
    """Of the keys that are needed, a board's power is only without a `place`."""
    schema["required"].remove("power")
    schema["anyOf"] = [{"required": ["power"]}, {"required": ["place"]}]


class BoardConfig(Section):
    """One Raspberry Pi."""

    model_config = ConfigDict(json_schema_extra=_power_or_place)

    model: ModelName = Field(examples=["pi4"])
    """Kind of Pi."""
    serial_number: SerialNumber = Field(examples=["91cdf03d"])
    """Last 8 hex digits of `Serial` in the board's /proc/cpuinfo: the name of its TFTP folder."""
    mac: Mac = Field(examples=["e4:5f:01:09:02:f7"])
    """MAC address of the Ethernet port."""
    revision: Revision | None = Field(default=None, examples=["d03114"])
    """`Revision` in the board's /proc/cpuinfo; the model's usual one when absent."""
    wire: str | None = Field(default=None, examples=["bench"])
    """Where the board's packets are seen: a name of `wires:`. Without it DHCP and TFTP are not judged."""
    server: str | None = Field(default=None, examples=["netboot"])
    """What the board boots from: a name of `servers:`."""
    place: PlaceName | None = Field(default=None, examples=["pi4-rack2"])
    """The board is this place of the lab's `labgrid:` coordinator. `power` and `console` are then the place's when absent."""
    power: Power = Field(examples=[{"driver": "emulated"}])
    """What switches the board's power."""
    console: Console | None = Field(default=None, examples=[{"driver": "emulated"}])
    """Serial console. Without it nothing after the firmware stage is judged."""
    login: Login | None = Field(default=None, examples=[{"user": "root"}])
    """Whom to log in as once the prompt is there."""
    budgets: Budgets = Field(default_factory=Budgets, examples=[{"userspace": 120}])
    """Time allowed per stage."""
    emulation: BoardEmulation = Field(default_factory=BoardEmulation, examples=[{"memory": 1024}])
    """How this emulated board runs."""
    eeprom: Eeprom = Field(default_factory=Eeprom, examples=[{"DHCP_TIMEOUT": 45000}])
    """Bootloader settings."""
    bootloader: ReleaseDate | None = Field(default=None, examples=["2025-05-08"])
    """Release of the bootloader in an emulated board's EEPROM, by its date: option 97, TFTP block size, UART lines and what
    it knows are as they were then. The newest when absent."""
    otp: Otp = Field(default_factory=Otp, examples=[{"net_boot": False}])
    """What is fused into a board that starts from its boot ROM (2B, 3B, 3B+)."""
    sd_card: SdCard = Field(default="none", examples=["bootcode"])
    """What is in the card slot of an emulated 2B, 3B or 3B+: `bootcode` is a card with nothing but bootcode.bin on it, the
    usual way round the bugs of the boot ROM."""
    labels: list[Label] = Field(default_factory=list, examples=[["rack2", "poe"]])
    """Further pytest marks of the board's tests, beside its model: `pytest -m rack2`."""

    @model_validator(mode="before")
    @classmethod
    def _of_its_place(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("place") is None:
            return data
        return {"power": {"driver": "labgrid"}, "console": {"driver": "labgrid"}, **data}

    @model_validator(mode="after")
    def _fits_its_rom(self) -> "BoardConfig":
        check_rom(self.model, self.serial_number, self.mac, self.model_fields_set)
        check_machine(self.model, self.emulation.machine)
        check_eeprom(self.model, self.mac, self.bootloader, self.eeprom)
        return self

    _name: str = PrivateAttr("")
    _speed: float = PrivateAttr(1.0)
    _cable: WireFaults | None = PrivateAttr(None)

    @property
    def name(self) -> str:
        """The board's key in `boards:`."""
        return self._name

    @property
    def emulated(self) -> bool:
        return isinstance(self.power, EmulatedPower)

    @property
    def cable(self) -> WireFaults | None:
        """What is wrong with an emulated board's cable; None for nothing."""
        return self._cable if self.emulated and self._cable != WireFaults() else None

    @property
    def speed(self) -> float:
        """Effective speed of the emulation; 1.0 for a real board."""
        return self._speed if self.emulated else 1.0

    def budgets_for(self, model: Model) -> dict[str, float]:
        """stage -> seconds: the model's, for an emulated board those of EMULATED_BUDGETS over them, and the board's own
        over all."""
        slower = EMULATED_BUDGETS if self.emulated else {}
        if isinstance(self.power, LabgridPower):
            slower = LABGRID_BUDGETS
        return {**model.budgets, **slower, **self.budgets.model_dump(exclude_none=True)}


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


__all__ = [
    "EMULATED_BUDGETS",
    "BoardConfig",
    "EmulatedConsole",
    "EmulatedPower",
    "EmulatedServer",
    "EmulatedWire",
    "ExternalServer",
    "InterfaceWire",
    "LabConfig",
    "Login",
    "PluginPower",
    "SerialConsole",
    "SshWire",
]
