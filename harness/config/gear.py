# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands around a board: power port, serial console, login."""

from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, model_validator

from harness.config.console import EmulatedConsole, SerialConsole
from harness.config.labgrid import LabgridConsole, LabgridPower
from harness.config.power import (
    DRIVERS,
    CommandPower,
    GpioRelayPower,
    HttpPower,
    PduPower,
    PoeSnmpPower,
    UsbHubPower,
)
from harness.config.secret import SecretSource
from harness.config.values import Section, matching, mistake

#: Entry points of this group bring power drivers of other packages: `driver:` is the entry point's name.
POWER_GROUP = "piboot.power"
#: Names of drivers that no other package may bring.
_OURS = ("emulated", "labgrid", *DRIVERS)


class EmulatedPower(Section):
    """The power port of an emulated board."""

    driver: Literal["emulated"]
    """`emulated`."""
    gear: Literal["none", "poe-switch", "relay"] = "none"
    """What the board hangs on. none: the harness switches the emulated board itself; poe-switch: a port of an emulated PoE
    switch, a real SNMP agent (snmpd), switched as `poe-snmp` switches real ones; relay: a relay on a mock pin, switched as
    `gpio-relay` switches real ones."""


class PluginPower(Section):
    """A power driver of an installed package (entry point group `piboot.power`). All further keys are that driver's."""

    model_config = ConfigDict(extra="allow")

    # None of ours: an editor would find the shipped lab's power port to be two kinds at once.
    driver: Annotated[str, WithJsonSchema({"type": "string", "not": {"enum": [*_OURS]}})]
    """Name of the driver."""

    @model_validator(mode="after")
    def _installed(self) -> "PluginPower":
        if self.driver not in plugin_power_drivers():
            raise mistake("its driver is not installed", "install the driver's package into the harness' venv")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The driver's own keys, unchecked: the driver checks them when it is opened."""
        return dict(self.model_extra or {})


class Login(Section):
    """Whom to log in as."""

    user: Annotated[
        str, AfterValidator(matching(r"[a-z_][a-z0-9_.-]{0,31}", "a user's name", "as in /etc/passwd: root"))
    ]
    """User's name."""
    password: SecretSource | None = Field(default=None, examples=[{"env": "PI_PASSWORD"}])
    """Where the password is kept; without it the user must not need one."""


def plugin_power_drivers() -> list[str]:
    """Names of the power drivers that other packages bring, sorted. The packages are not imported."""
    return sorted({point.name for point in entry_points(group=POWER_GROUP)} - {*_OURS})


def power_drivers() -> list[str]:
    """All names that `driver:` of a power port may have."""
    return [*_OURS, *plugin_power_drivers()]


def _power_kind(value: Any) -> str | None:
    driver = value.get("driver") if isinstance(value, dict) else getattr(value, "driver", None)
    if not isinstance(driver, str):
        return None
    if driver in _OURS:
        return driver
    return "plugin" if driver in plugin_power_drivers() else None


Power = Annotated[
    Annotated[EmulatedPower, Tag("emulated")]
    | Annotated[PoeSnmpPower, Tag("poe-snmp")]
    | Annotated[GpioRelayPower, Tag("gpio-relay")]
    | Annotated[PduPower, Tag("pdu")]
    | Annotated[HttpPower, Tag("http")]
    | Annotated[CommandPower, Tag("command")]
    | Annotated[UsbHubPower, Tag("usb-hub")]
    | Annotated[LabgridPower, Tag("labgrid")]
    | Annotated[PluginPower, Tag("plugin")],
    Discriminator(_power_kind),
]
Console = Annotated[EmulatedConsole | SerialConsole | LabgridConsole, Field(discriminator="driver")]
