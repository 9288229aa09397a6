# SPDX-License-Identifier: GPL-2.0-or-later
"""The power drivers that come with the harness, as they stand in lab.yaml under `power:`."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from harness.config.secret import SecretSource
from harness.config.values import EnvironmentName, Section, matching, mistake


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise mistake(
            "this is not a URL of a switch", 'http:// or https:// and its name or address: "http://10.0.0.31"'
        )
    if parts.username is not None or parts.password is not None:
        # Not shown: it may be the password.
        raise mistake("a user or password must not stand in the URL", "give them as user: and password: {env: NAME}")
    if parts.query or parts.fragment:
        raise mistake("the URL has a query", "write the query into the path: of the requests")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise mistake(f"this is not a regular expression: {error}", "see docs.python.org/3/library/re.html") from None
    return value


Host = Annotated[
    str, AfterValidator(matching(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,252}", "a host", "a name or an address: 10.0.0.20"))
]
Url = Annotated[str, AfterValidator(_url)]
Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
Words = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
RequestPath = Annotated[str, AfterValidator(matching(r"/[!-~]*", "a path", 'a slash first, no blanks: "/relay/0"'))]
Limit = Annotated[float, Field(strict=True, gt=0, le=600)]
Timeout = Annotated[float, Field(strict=True, gt=0, le=120)]
UdpPort = Annotated[int, Field(strict=True, ge=1, le=65535)]


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


class PduPower(Section):
    """An outlet behind pdudaemon, by its HTTP listener."""

    driver: Literal["pdu"]
    """`pdu`."""
    url: Url = "http://localhost:16421"
    """pdudaemon's HTTP listener."""
    hostname: Host | None = Field(default=None, examples=["apc-1"])
    """Name of the PDU in pdudaemon.conf."""
    port: str | None = Field(default=None, min_length=1, max_length=64, examples=["3"])
    """Outlet of the PDU."""
    alias: str | None = Field(default=None, min_length=1, max_length=128, examples=["pi4-a"])
    """Alias in pdudaemon.conf, instead of hostname and port."""
    read_back: ProgramState | None = Field(
        default=None,
        examples=[{"command": ["apc-state", "3"], "on": {"output": "^on$"}, "off": {"output": "^off$"}}],
    )
    """How the state is read: pdudaemon cannot tell it. Without this it is unknown, and the record says so."""
    timeout: Timeout = 30.0
    """Seconds for one request; pdudaemon answers when the PDU has obeyed, after its own retries."""
    limit: Limit = 40.0
    """Seconds for switching and its proof."""

    @model_validator(mode="after")
    def _outlet(self) -> "PduPower":
        if (self.alias is None) == (self.hostname is None and self.port is None) or (
            self.alias is None and (self.hostname is None or self.port is None)
        ):
            raise mistake("one outlet has to be named", "write hostname: and port:, or alias: alone")
        return self


class HttpRequest(Section):
    """One request to a switch."""

    path: RequestPath = Field(examples=["/relay/0?turn=on"])
    """Path and query after `url`; `{outlet}` stands for the outlet."""
    method: Literal["GET", "POST", "PUT", "PATCH"] = "GET"
    """Method."""
    body: str | None = Field(default=None, max_length=65536, examples=['{"on": true}'])
    """Body; `{outlet}` stands for the outlet. It is sent as JSON unless `headers` name another Content-Type."""
    headers: dict[str, str] = Field(default_factory=dict, examples=[{"Content-Type": "text/plain"}])
    """Further headers."""


class HttpShows(Section):
    """How the answer to the state request is read."""

    json_path: str | None = Field(default=None, min_length=1, examples=["relays.0.ison"])
    """Keys and list positions with dots; without it the expressions are looked for in the whole text."""
    on: Pattern = Field(examples=["true"])
    """Regular expression of the value that means on."""
    off: Pattern = Field(examples=["false"])
    """Regular expression of the value that means off."""


class HttpPower(Section):
    """An outlet of a switch with a REST interface: a preset, or requests of your own."""

    driver: Literal["http"]
    """`http`."""
    url: Url = Field(examples=["http://10.0.0.31"])
    """The switch."""
    preset: Literal["shelly-gen1", "shelly-gen2", "tasmota", "esphome", "netio"] | None = None
    """Kind of switch; instead of on, off, state and reads."""
    outlet: str | None = Field(default=None, min_length=1, max_length=64, examples=["0"])
    """Number or name of the outlet, as the switch counts them; its only one when absent."""
    on: HttpRequest | None = Field(default=None, examples=[{"path": "/relay/0?turn=on"}])
    """Switches on."""
    off: HttpRequest | None = Field(default=None, examples=[{"path": "/relay/0?turn=off"}])
    """Switches off."""
    state: HttpRequest | None = Field(default=None, examples=[{"path": "/relay/0"}])
    """Asks for the state."""
    reads: HttpShows | None = Field(default=None, examples=[{"json_path": "ison", "on": "true", "off": "false"}])
    """How the answer to `state` is read."""
    user: str | None = Field(default=None, min_length=1, examples=["admin"])
    """User for basic or digest login, whichever the switch asks for."""
    password: SecretSource | None = Field(default=None, examples=[{"env": "SWITCH_PASSWORD"}])
    """Where its password is kept."""
    headers: dict[str, SecretSource] = Field(default_factory=dict, examples=[{"X-API-Key": {"env": "SWITCH_KEY"}}])
    """Headers with secrets, sent with every request."""
    certificates: str | None = Field(default=None, min_length=1, examples=["/etc/piboot/switch-ca.pem"])
    """File with the certificates to trust, instead of the system's (https)."""
    tls: Literal["verify", "insecure"] = "verify"
    """`insecure` takes any certificate: whoever is on the network between can switch this outlet and read the login."""
    timeout: Timeout = 5.0
    """Seconds for one request."""
    limit: Limit = 15.0
    """Seconds for switching and its proof."""

    @model_validator(mode="after")
    def _whole(self) -> "HttpPower":
        own = (self.on, self.off, self.state, self.reads)
        if self.preset is not None and any(part is not None for part in own):
            raise mistake("there are a preset and requests", "remove preset:, or on, off, state and reads")
        if self.preset is None and any(part is None for part in own):
            raise mistake("requests are missing", "give preset:, or all of on, off, state and reads")
        if (self.user is None) != (self.password is None):
            raise mistake("user and password go together", "give both, or neither")
        return self


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


#: Drivers of this module, by what `driver:` says.
DRIVERS: dict[str, type[Section]] = {
    "poe-snmp": PoeSnmpPower,
    "gpio-relay": GpioRelayPower,
    "pdu": PduPower,
    "http": HttpPower,
    "command": CommandPower,
    "usb-hub": UsbHubPower,
}
