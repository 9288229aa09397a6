# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards of a labgrid coordinator, as they stand in lab.yaml: `labgrid:` of the lab, and what a board's `place:` brings."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from harness.config.console import Baud, MilestoneName, Sending
from harness.config.values import Section, matching
from harness.config.wire import ResourceName

#: labgrid takes a place's name for a pattern when it begins with +; a dash would be an option of its client.
PlaceName = Annotated[
    str,
    AfterValidator(
        matching(r"[A-Za-z0-9_][A-Za-z0-9_.:@/-]{0,63}", "a place's name", "as `labgrid-client places` shows it")
    ),
]
Coordinator = Annotated[
    str,
    AfterValidator(
        matching(
            r"(\[[0-9A-Fa-f:]{2,45}\]|[A-Za-z0-9_][A-Za-z0-9_.-]{0,252})(:[0-9]{1,5})?",
            "a coordinator's address",
            "a host, and its TCP port when it is not 20408: lab-server:20408",
        )
    ),
]
Program = Annotated[
    str, AfterValidator(matching(r"[!-~]{1,500}", "a program", "a name on PATH, or its full path, without blanks"))
]


class LabgridLab(Section):
    """A labgrid coordinator that some boards of this lab are places of. labgrid is used through its client program."""

    coordinator: Coordinator = Field(examples=["lab-server:20408"])
    """Host and TCP port of the coordinator."""
    client: Program = "labgrid-client"
    """Its client program; best in a venv of its own: `/opt/labgrid/bin/labgrid-client`."""
    timeout: Annotated[float, Field(strict=True, gt=0, le=300)] = 30.0
    """Seconds for one call of it."""


class LabgridPower(Section):
    """The power resource of the board's labgrid place, switched by labgrid."""

    driver: Literal["labgrid"]
    """`labgrid`."""
    name: ResourceName | None = Field(default=None, examples=["outlet"])
    """Which one, when the place has several."""
    limit: Annotated[float, Field(strict=True, gt=0, le=600)] = 60.0
    """Seconds for switching and its proof; each call of labgrid's client takes about one."""


class LabgridConsole(Section):
    """The serial port of the board's labgrid place (NetworkSerialPort), as its exporter serves it."""

    driver: Literal["labgrid"]
    """`labgrid`."""
    name: ResourceName | None = Field(default=None, examples=["console"])
    """Which one, when the place has several."""
    baud: Baud | None = Field(default=None, examples=[115200])
    """Baud rate, instead of the exporter's."""
    baud_after: dict[MilestoneName, Baud] = Field(default_factory=dict, examples=[{"firmware.start_os": 921600}])
    """Another baud rate from a milestone of the boot on; each boot begins with `baud`."""
    send: Sending = Field(default_factory=Sending, examples=[{"char_delay": 0.002}])
    """How fast to type."""
    reconnect: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """Seconds that a lost line may stay away before the boot is given up as the lab's fault."""
