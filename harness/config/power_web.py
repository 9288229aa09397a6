# SPDX-License-Identifier: GPL-2.0-or-later
"""Power drivers of lab.yaml that speak HTTP: pdudaemon, and any switch with a REST interface."""

import re
from typing import Literal

from pydantic import Field, model_validator

from harness.config.power_programs import ProgramState
from harness.config.power_values import Host, Limit, Pattern, RequestPath, Timeout, Url
from harness.config.secret import SecretSource
from harness.config.values import Section, mistake

#: Site (the default one when absent), the switch's MAC, and the port.
UNIFI_OUTLET = re.compile(r"(?:([A-Za-z0-9_-]{1,32})/)?([0-9a-f]{2}(?::[0-9a-f]{2}){5})/([1-9][0-9]{0,2})")


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
    preset: Literal["shelly-gen1", "shelly-gen2", "tasmota", "esphome", "netio", "unifi"] | None = None
    """Kind of switch; instead of on, off, state and reads."""
    outlet: str | None = Field(default=None, min_length=1, max_length=64, examples=["0"])
    """Number or name of the outlet, as the switch counts them; its only one when absent. For `unifi` the switch's MAC and the
    port, "fc:ec:da:11:22:33/7", with the site before them if it is not the default one."""
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
    """Seconds for switching and its proof. 90 for `unifi` when absent: a switch tells its console of its ports now and then."""

    @model_validator(mode="after")
    def _whole(self) -> "HttpPower":
        own = (self.on, self.off, self.state, self.reads)
        if self.preset is not None and any(part is not None for part in own):
            raise mistake("there are a preset and requests", "remove preset:, or on, off, state and reads")
        if self.preset is None and any(part is None for part in own):
            raise mistake("requests are missing", "give preset:, or all of on, off, state and reads")
        if self.preset == "unifi":
            if UNIFI_OUTLET.fullmatch(self.outlet or "") is None:
                raise mistake(
                    "a UniFi port is named by its switch", 'write outlet: "fc:ec:da:11:22:33/7": MAC, slash, port'
                )
            if not any(name.lower() == "x-api-key" for name in self.headers):
                raise mistake("the API key is missing", "add headers: {X-API-KEY: {env: NAME}}")
        if (self.user is None) != (self.password is None):
            raise mistake("user and password go together", "give both, or neither")
        return self
