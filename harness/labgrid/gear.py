# SPDX-License-Identifier: GPL-2.0-or-later
"""What a labgrid place gives a board: its power port, where its serial line is served, where its packets are seen."""

import re

from pydantic import ValidationError

from harness.config.console import SerialConsole
from harness.config.labgrid import LabgridConsole
from harness.config.wire import LabgridWire, SshWire
from harness.errors import ConfigError, InfraError
from harness.labgrid.place import Place, Resource
from harness.power.port import Refused, State, Timing
from harness.power.switched import SwitchedPort, Want, words

SERIAL = ("NetworkSerialPort",)
INTERFACE = ("RemoteNetworkInterface", "NetworkInterface")


class LabgridPort(SwitchedPort):
    """The place's power resource, by `labgrid-client power`; the place must be ours. name: which one, when it has several."""

    remedy = "look at the place's power resource and at the log of its exporter"

    def __init__(self, place: Place, name: str | None = None, timing: Timing | None = None) -> None:
        super().__init__(f"labgrid place {place.name}" + (f" power {name}" if name else ""), timing)
        self._place = place
        self._name = ["--name", name] if name else []

    def order(self, want: Want) -> None:
        self._ask(want)

    def look(self) -> State:
        answer = self._ask("get")
        found = re.search(r"^power .*is (on|off)$", answer, re.MULTILINE)
        self.detail = words(found[0] if found else answer)
        return "unknown" if found is None else "on" if found[1] == "on" else "off"

    def _ask(self, action: str) -> str:
        try:
            return self._place.client.ask("power", action, *self._name, place=self._place.name)
        except (InfraError, ConfigError) as error:
            raise Refused(error.what) from None


def serial_line(place: Place, config: LabgridConsole) -> SerialConsole:
    """The place's serial port as any other line of a serial server. InfraError: it has none that can be reached."""
    found = place.resource(SERIAL, config.name, "serial port", "console")
    _directly(place, found)
    scheme = "socket" if found.params.get("protocol") == "raw" else "rfc2217"
    host, port = found.params.get("host"), found.params.get("port")
    speed = config.baud or found.params.get("speed") or 115200
    keys: dict[str, object] = {"driver": "serial", "url": f"{scheme}://{_host(host)}:{port}"}
    if scheme == "rfc2217":
        keys |= {"baud": speed, "baud_after": config.baud_after}
    try:
        return SerialConsole.model_validate({**keys, "send": config.send, "reconnect": config.reconnect})
    except ValidationError as error:
        raise _senseless(place, found) from error


def wire_of(place: Place, config: LabgridWire) -> SshWire:
    """The place's network interface as any other that is reached by ssh. InfraError: it has none."""
    found = place.resource(INTERFACE, config.name, "network interface", "wires: …")
    extra = found.params.get("extra")
    host = found.params.get("host") or (extra.get("proxy") if isinstance(extra, dict) else None)
    keys = {"kind": "ssh", "host": host, "interface": found.params.get("ifname")}
    keys |= {key: getattr(config, key) for key in ("user", "port", "key", "known_hosts", "config", "filter")}
    try:
        return SshWire.model_validate(keys)
    except ValidationError as error:
        raise _senseless(place, found) from error


def _directly(place: Place, resource: Resource) -> None:
    extra = resource.params.get("extra")
    if isinstance(extra, dict) and extra.get("proxy_required"):
        raise InfraError(
            f"the exporter of the labgrid place {place.name} lets nobody reach {words(resource.name)} but through ssh "
            "(it runs with --isolated)",
            place=place.client.coordinator,
            remedy="let the exporter's host be reached from here, or tunnel the port yourself and name it: "
            "console: {driver: serial, url: …}",
        )


def _host(host: object) -> str:
    return f"[{host}]" if ":" in str(host) else str(host)


def _senseless(place: Place, resource: Resource) -> InfraError:
    return InfraError(
        f"the labgrid place {place.name} has a {resource.cls} without sense: {words(str(resource.params), limit=300)}",
        place=place.client.coordinator,
        remedy="correct it in the resources file of its exporter",
    )
