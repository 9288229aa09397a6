# SPDX-License-Identifier: GPL-2.0-or-later
"""The power drivers that come with the harness, as they stand in lab.yaml under `power:`; here those of switches and relays."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.config.power_programs import CommandPower, ProgramShows, ProgramState, UsbHubPower
from harness.config.power_values import Host, Limit, Timeout, UdpPort
from harness.config.power_web import HttpPower, HttpRequest, HttpShows, PduPower
from harness.config.secret import SecretSource
from harness.config.values import Section, mistake


class PoeSnmpPower(Section):
    """A port of a PoE switch, by SNMP (POWER-ETHERNET-MIB, RFC 3621)."""

    driver: Literal["poe-snmp"]
    """`poe-snmp`."""
    host: Host = Field(examples=["10.0.0.20"])
    """The switch."""
    port: Annotated[int, Field(strict=True, ge=1, le=2_147_483_647)] = Field(examples=[7])
    """Its port: pethPsePortIndex, the number on the front of most switches."""
    group: Annotated[int, Field(strict=True, ge=1, le=2_147_483_647)] = 1
    """pethPsePortGroupIndex: the unit of a stack."""
    version: Literal["1", "2c", "3"] = "2c"
    """SNMP version. 1 and 2c send the community in clear text."""
    community: SecretSource | None = Field(default=None, examples=[{"env": "SNMP_COMMUNITY"}])
    """Where the community is kept that may write (versions 1 and 2c)."""
    user: str | None = Field(default=None, min_length=1, max_length=32, examples=["piboot"])
    """User (version 3)."""
    auth: Literal["MD5", "SHA", "SHA-224", "SHA-256", "SHA-384", "SHA-512"] = "SHA-256"
    """Kind of authentication (version 3)."""
    auth_key: SecretSource | None = Field(default=None, examples=[{"env": "SNMP_AUTH"}])
    """Where its passphrase is kept."""
    privacy: Literal["DES", "AES", "AES-192", "AES-256", "AES-192-Cisco", "AES-256-Cisco"] = "AES"
    """Kind of encryption (version 3)."""
    privacy_key: SecretSource | None = Field(default=None, examples=[{"env": "SNMP_PRIVACY"}])
    """Where its passphrase is kept."""
    context: str | None = Field(default=None, max_length=32, examples=["vlan-1"])
    """Context name (version 3); most switches have none."""
    udp_port: UdpPort = 161
    """UDP port of the agent."""
    timeout: Timeout = 2.0
    """Seconds for one answer."""
    retries: Annotated[int, Field(strict=True, ge=0, le=10)] = 1
    """Further tries after one without an answer."""
    limit: Limit = 20.0
    """Seconds for switching and its proof; detection and classification take a switch some of them."""

    @model_validator(mode="after")
    def _credentials(self) -> "PoeSnmpPower":
        if self.version != "3":
            if self.community is None:
                raise mistake("the community is missing", "add community: {env: NAME} or {file: path}")
            if self.user or self.auth_key or self.privacy_key:
                raise mistake(f"version {self.version} knows no user and no keys", 'remove them, or write version: "3"')
        elif self.user is None:
            raise mistake("the user is missing", "add user: NAME")
        elif self.community is not None:
            raise mistake("version 3 knows no community", "remove it")
        elif self.privacy_key is not None and self.auth_key is None:
            raise mistake("there is no encryption without authentication", "add auth_key: {env: NAME}")
        return self


class GpioRelayPower(Section):
    """A relay on a GPIO pin of this host, or of a Pi that runs pigpiod."""

    driver: Literal["gpio-relay"]
    """`gpio-relay`."""
    pin: Annotated[int, Field(strict=True, ge=0, le=53)] = Field(examples=[17])
    """GPIO number (BCM), not the number on the header."""
    active: Literal["high", "low"] = "high"
    """Level that pulls the relay in; many relay boards with optocouplers take `low`."""
    contact: Literal["normally-open", "normally-closed"] = "normally-open"
    """Contact that the board's supply goes through. Through the normally closed one a board has power while the relay is idle."""
    factory: Literal["lgpio", "pigpio", "native", "rpigpio", "mock"] = "lgpio"
    """gpiozero's pin factory. lgpio: this Pi, also a Pi 5; pigpio: pigpiod here or on `host`; mock: no relay at all."""
    host: Host | None = Field(default=None, examples=["relay-pi.lab"])
    """Host of pigpiod (factory pigpio)."""
    tcp_port: UdpPort = 8888
    """TCP port of pigpiod."""
    chip: Annotated[int, Field(strict=True, ge=0, le=63)] | None = Field(default=None, examples=[4])
    """Number of /dev/gpiochip (factory lgpio); gpiozero finds the header's when absent."""
    on_exit: Literal["keep", "off", "on"] = "keep"
    """Where the line goes when the harness ends or is killed; a holder process keeps it there."""
    limit: Limit = 10.0
    """Seconds for switching and its proof."""

    @model_validator(mode="after")
    def _factory(self) -> "GpioRelayPower":
        if self.host is not None and self.factory != "pigpio":
            raise mistake("only the factory pigpio has a host", "write factory: pigpio, or remove host:")
        if self.chip is not None and self.factory != "lgpio":
            raise mistake("only the factory lgpio has a chip", "remove chip:")
        return self


#: Drivers that come with the harness, by what `driver:` says.
DRIVERS: dict[str, type[Section]] = {
    "poe-snmp": PoeSnmpPower,
    "gpio-relay": GpioRelayPower,
    "pdu": PduPower,
    "http": HttpPower,
    "command": CommandPower,
    "usb-hub": UsbHubPower,
}

__all__ = [
    "DRIVERS",
    "CommandPower",
    "GpioRelayPower",
    "HttpPower",
    "HttpRequest",
    "HttpShows",
    "PduPower",
    "PoeSnmpPower",
    "ProgramShows",
    "ProgramState",
    "UsbHubPower",
]
