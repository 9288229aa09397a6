# SPDX-License-Identifier: GPL-2.0-or-later
"""Power drivers of lab.yaml that run a program: any command, and uhubctl for USB hubs."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from harness.config.power_values import Limit, Pattern, Timeout, Words
from harness.config.secret import SecretSource
from harness.config.values import EnvironmentName, Section, matching, mistake


class ProgramShows(Section):
    """What a state program shows in one state: its output, its exit status, or both."""

    output: Pattern | None = Field(default=None, examples=["^on$"])
    """Regular expression found in what it prints; ^ and $ stand for a line's ends."""
    status: Annotated[int, Field(strict=True, ge=0, le=255)] | None = Field(default=None, examples=[0])
    """Exit status; 0 when only `output` is given."""

    @model_validator(mode="after")
    def _something(self) -> "ProgramShows":
        if self.output is None and self.status is None:
            raise mistake("neither output nor status is given", "write {output: regex} or {status: number}")
        return self


class ProgramState(Section):
    """A program that tells the state of a power port."""

    command: Words = Field(examples=[["relayctl", "read", "3"]])
    """Program and arguments. No shell sees them."""
    on: ProgramShows = Field(examples=[{"output": "^on$"}])
    """How it shows that power is on."""
    off: ProgramShows = Field(examples=[{"output": "^off$"}])
    """How it shows that power is off."""


class CommandPower(Section):
    """Any program that switches power, with one that reads it back."""

    driver: Literal["command"]
    """`command`."""
    on: Words = Field(examples=[["relayctl", "on", "3"]])
    """Program and arguments that switch on. No shell sees them; a status other than 0 is a refusal."""
    off: Words = Field(examples=[["relayctl", "off", "3"]])
    """Program and arguments that switch off."""
    read_back: ProgramState = Field(
        examples=[{"command": ["relayctl", "read", "3"], "on": {"output": "^on$"}, "off": {"output": "^off$"}}]
    )
    """How the state is read."""
    environment: dict[EnvironmentName, SecretSource] = Field(
        default_factory=dict, examples=[{"RELAY_TOKEN": {"file": "~/.config/piboot/relay"}}]
    )
    """Variables for these programs: the way to give them a secret (arguments are seen by everybody on this host)."""
    timeout: Timeout = 10.0
    """Seconds for one run of a program."""
    limit: Limit = 20.0
    """Seconds for switching and its proof."""


class UsbHubPower(Section):
    """A port of a USB hub that switches power per port, by uhubctl."""

    driver: Literal["usb-hub"]
    """`usb-hub`."""
    hub: Annotated[
        str,
        AfterValidator(matching(r"[0-9]+(-[0-9]+(\.[0-9]+)*)?", "a hub's location", 'as uhubctl shows it: "1-1.2"')),
    ] = Field(examples=["1-1.2"])
    """Location of the hub, as `uhubctl` shows it."""
    port: Annotated[int, Field(strict=True, ge=1, le=14)] = Field(examples=[2])
    """Its port."""
    timeout: Timeout = 15.0
    """Seconds for one run of uhubctl."""
    limit: Limit = 30.0
    """Seconds for switching and its proof."""
