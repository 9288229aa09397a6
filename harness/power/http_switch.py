# SPDX-License-Identifier: GPL-2.0-or-later
"""`driver: http`: any switch with a REST interface; ready-made ones in PRESETS."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from harness.errors import InfraError
from harness.power.port import Refused, Silent, State, Timing
from harness.power.reading import Reader, at
from harness.power.switched import SwitchedPort, Want, words
from harness.power.web import Request, Site


@dataclass(frozen=True)
class Dialect:
    """What one kind of switch is asked. `{outlet}` in paths, bodies and `reader` stands for the outlet's name.
    about: a path that tells what the switch is, and where in its JSON: "model", "StatusFWR.Version".
    """

    on: Request
    off: Request
    state: Request
    reader: Reader
    outlet: str = "0"
    about: tuple[str, ...] = ()

    def of(self, outlet: str) -> "Dialect":
        def put(request: Request) -> Request:
            body = None if request.body is None else request.body.replace("{outlet}", outlet)
            return Request(request.path.replace("{outlet}", outlet), request.method, body, request.headers)

        on, off, json = (
            text.replace("{outlet}", name)
            for text, name in (
                (self.reader.on, re.escape(outlet)),
                (self.reader.off, re.escape(outlet)),
                (self.reader.json, outlet),
            )
        )
        reader = Reader(on, off, json)
        return Dialect(put(self.on), put(self.off), put(self.state), reader, outlet, self.about)


PRESETS: Mapping[str, Dialect] = {
    # shelly-api-docs.shelly.cloud/gen1, "/relay/{index}": /relay/{id}?turn=on|off; GET /relay/{id} has "ison".
    "shelly-gen1": Dialect(
        Request("/relay/{outlet}?turn=on"),
        Request("/relay/{outlet}?turn=off"),
        Request("/relay/{outlet}"),
        Reader("true", "false", "ison"),
        about=("/shelly", "type", "fw"),
    ),
    # shelly-api-docs.shelly.cloud/gen2, ComponentsAndServices/Switch: Switch.Set, Switch.GetStatus has "output";
    # General/
    # Authentication: digest login with SHA-256 (RFC 7616), the user is always "admin".
    "shelly-gen2": Dialect(
        Request("/rpc/Switch.Set?id={outlet}&on=true"),
        Request("/rpc/Switch.Set?id={outlet}&on=false"),
        Request("/rpc/Switch.GetStatus?id={outlet}"),
        Reader("true", "false", "output"),
        about=("/rpc/Shelly.GetDeviceInfo", "model", "app", "ver"),
    ),
    # tasmota.github.io/docs/Commands: Power<x>, which without a parameter returns the setting; a device with one
    # relay answers {"POWER":"ON"}, others {"POWER2":"ON"}.
    "tasmota": Dialect(
        Request("/cm?cmnd=Power{outlet}%20On"),
        Request("/cm?cmnd=Power{outlet}%20Off"),
        Request("/cm?cmnd=Power{outlet}"),
        Reader(r'"POWER[0-9]*"\s*:\s*"ON"', r'"POWER[0-9]*"\s*:\s*"OFF"'),
        outlet="1",
        about=("/cm?cmnd=Status%202", "StatusFWR.Version", "StatusFWR.Hardware"),
    ),
    # esphome.io/web-api: POST /switch/<id>/turn_on|turn_off; GET /switch/<id> has "state".
    "esphome": Dialect(
        Request("/switch/{outlet}/turn_on", "POST", ""),
        Request("/switch/{outlet}/turn_off", "POST", ""),
        Request("/switch/{outlet}"),
        Reader("ON", "OFF", "state"),
        outlet="relay",
    ),
    # wiki.netio-products.com, JSON API, and application note AN21: GET /netio.json has "Outputs" in order of "ID";
    # POST sets "Action" 1 on, 0 off.
    "netio": Dialect(
        Request("/netio.json", "POST", '{"Outputs":[{"ID":{outlet},"Action":1}]}'),
        Request("/netio.json", "POST", '{"Outputs":[{"ID":{outlet},"Action":0}]}'),
        Request("/netio.json"),
        Reader(r'"ID"\s*:\s*{outlet}\s*,[^}]*"State"\s*:\s*1', r'"ID"\s*:\s*{outlet}\s*,[^}]*"State"\s*:\s*0'),
        outlet="1",
        about=("/netio.json", "Agent.Model", "Agent.Version"),
    ),
}


class HttpPort(SwitchedPort):
    """An outlet of a switch with HTTP."""

    remedy = "open the switch's URL in a browser: is it there, does it take this login, is this the outlet?"

    def __init__(self, site: Site, dialect: Dialect, timing: Timing | None = None) -> None:
        super().__init__(f"switch {site.host} outlet {dialect.outlet}", timing)
        self._site, self._dialect = site, dialect

    def order(self, want: Want) -> None:
        self._site.send(self._dialect.on if want == "on" else self._dialect.off)

    def look(self) -> State:
        text = self._site.send(self._dialect.state).text
        self.detail = words(text, self._site.secrets, 80)
        return self._dialect.reader.state(text, self._site.secrets)

    def identify(self) -> str:
        """What the switch says that it is; "" when it has no such answer. InfraError: it does not answer."""
        if not self._dialect.about:
            return ""
        path, *fields = self._dialect.about
        with self._lock:
            try:
                text = self._site.send(Request(path)).text
            except Refused:
                return ""
            except Silent as error:
                raise InfraError(f"{self.identity} does not say what it is: {error}", remedy=self.remedy) from None
        found = []
        for field in fields:
            with suppress(Silent):
                found.append(words(at(text, field, self._site.secrets), self._site.secrets, 60))
        return " ".join(found)
