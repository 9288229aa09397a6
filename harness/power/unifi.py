# SPDX-License-Identifier: GPL-2.0-or-later
"""`driver: http`, `preset: unifi`: a PoE port of a UniFi switch, by its console (UniFi OS, Network 9 or later, with an API key).

There is no documented call that switches a port's PoE on or off: the official API (developer.ui.com/network, "executePortAction")
knows POWER_CYCLE alone, with an off-time of the switch's own and no read-back. What its web interface and the common clients
(aiounifi of Home Assistant, alxwolf/ubios-poe_switch, matonb-unifi) use is the controller's own REST: GET
/proxy/network/api/s/SITE/stat/device/MAC has "port_overrides" and "port_table"; PUT .../rest/device/ID takes the whole list of
overrides, so that all others have to be sent back as they were. An API key is accepted there in X-API-KEY.

Written from those clients, not tried on a console. The switch tells its console of its ports every some seconds only: on and off
are confirmed that much later.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from filelock import FileLock, Timeout

from harness.errors import InfraError
from harness.power.gpio_relay import runtime_folder
from harness.power.port import Refused, Silent, State, Timing
from harness.power.switched import SwitchedPort, Want, words
from harness.power.web import Request, Site

#: Seconds that another harness of this host may take to change another port of the same switch.
_PATIENCE = 20.0


class UnifiPort(SwitchedPort):
    """switch: its MAC, lower case with colons; port: its number (port_idx); place: the console's name of the site."""

    remedy = (
        "look at the port in UniFi Network: is the switch online, may this API key change it (Settings, Control Plane, "
        "Integrations), is the port PoE?"
    )

    def __init__(
        self, site: Site, *, switch: str, port: int, place: str = "default", timing: Timing | None = None
    ) -> None:
        super().__init__(f"UniFi switch {switch} port {port} by {site.host}", timing)
        self._site, self._switch_mac, self._port, self._place = site, switch, port, place

    def order(self, want: Want) -> None:
        mode = "auto" if want == "on" else "off"
        with self._alone():
            device = self._device()
            overrides = [dict(entry) for entry in _rows(device, "port_overrides")]
            mine = next((entry for entry in overrides if entry.get("port_idx") == self._port), None)
            if mine is None:
                mine = {"port_idx": self._port}
                if profile := self._row(device).get("portconf_id"):
                    mine["portconf_id"] = profile  # else the port would lose its profile with its first override
                overrides.append(mine)
            mine["poe_mode"] = mode
            body = json.dumps({"port_overrides": overrides})
            self._ask(Request(f"{self._base}/rest/device/{device.get('_id', '')}", "PUT", body))

    def look(self) -> State:
        row = self._row(self._device())
        said = {key: row.get(key) for key in ("poe_mode", "poe_good", "poe_class", "poe_power") if key in row}
        self.detail = words(", ".join(f"{key} {value}" for key, value in said.items()), self._site.secrets)
        if row.get("poe_good") is True:
            return "on"
        # Enabled without a powered device: power may come at any moment.
        return "off" if row.get("poe_mode") == "off" or row.get("poe_enable") is False else "unknown"

    def identify(self) -> str:
        """The switch's model and firmware, as its console has them. InfraError."""
        with self._lock:
            try:
                device = self._device()
            except (Refused, Silent) as error:
                raise InfraError(f"{self.identity} does not say what it is: {error}", remedy=self.remedy) from None
        said = " ".join(str(device[key]) for key in ("model", "version") if key in device)
        return words(f"UniFi {said}", self._site.secrets, 60)

    def delivers(self) -> bool | None:
        """Whether the port delivers power; None: it does not say. InfraError."""
        state = self.state()
        return None if state == "unknown" else state == "on"

    @property
    def _base(self) -> str:
        return f"/proxy/network/api/s/{self._place}"

    def _device(self) -> dict[str, Any]:
        data = self._ask(Request(f"{self._base}/stat/device/{self._switch_mac}"))
        if len(data) != 1:
            raise Refused(f"{self._site.host} knows no switch {self._switch_mac} in the site {self._place}")
        return data[0]

    def _row(self, device: dict[str, Any]) -> dict[str, Any]:
        row = next((row for row in _rows(device, "port_table") if row.get("port_idx") == self._port), None)
        if row is None:
            raise Refused(f"the switch {self._switch_mac} has no port {self._port}")
        if row.get("port_poe") is False:
            raise Refused(f"port {self._port} of the switch {self._switch_mac} has no PoE")
        return row

    def _ask(self, request: Request) -> list[dict[str, Any]]:
        text = self._site.send(request).text
        try:
            answer = json.loads(text)
            meta, data = answer["meta"], answer["data"]
            done, why = meta["rc"] == "ok", str(meta.get("msg", ""))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            said = words(text, self._site.secrets)
            raise Silent(f"{self._site.host} answers what is not UniFi's: {said}") from None
        if not done:
            raise Refused(f"{self._site.host} said {words(why, self._site.secrets)}")
        return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time on this host: the list of overrides is read, changed and written as a whole."""
        lock = FileLock(runtime_folder() / f"unifi-{self._switch_mac.replace(':', '')}.lock", timeout=_PATIENCE)
        try:
            lock.acquire()
        except Timeout:
            raise Silent(f"another process has been changing {self._switch_mac} for {_PATIENCE:g} s") from None
        try:
            yield
        finally:
            lock.release()


def _rows(device: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = device.get(key)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
