# SPDX-License-Identifier: GPL-2.0-or-later
"""A board of lab.yaml. The docstrings here are the reference (docs/lab-yaml.md) and the editors' help."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from harness.config.eeprom import Eeprom, ReleaseDate, check_eeprom
from harness.config.faults import WireFaults
from harness.config.gear import Console, EmulatedPower, Login, Power
from harness.config.labgrid import LabgridPower, PlaceName
from harness.config.machine import check_machine
from harness.config.otp import Flag, Otp, SdCard, check_rom
from harness.config.values import Label, Mac, ModelName, Revision, Seconds, Section, SerialNumber, Speed
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
