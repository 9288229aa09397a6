# SPDX-License-Identifier: GPL-2.0-or-later
"""PoE ports of UniFi switches: against a console made after the clients that use its REST interface."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.config import Secret, loads
from harness.errors import InfraError
from harness.power.opening import open_port
from harness.power.port import Timing
from harness.power.unifi import UnifiPort
from harness.power.web import Site
from tests.config.samples import mistakes

from .driver_doubles import web

pytestmark = pytest.mark.gear
KEY = "uk-Tz7+kQ/92=x"
MAC = "fc:ec:da:11:22:33"


class Console:
    """lag: looks until the switch has told of a change; good: a powered device hangs on the port."""

    def __init__(self) -> None:
        self.overrides: list[dict[str, Any]] = [
            {"port_idx": 2, "name": "camera", "poe_mode": "auto", "portconf_id": "p2", "stp_port_mode": False},
            {"port_idx": 9, "op_mode": "mirror", "mirror_port_idx": 7},
        ]
        self.told: dict[int, str] = {2: "auto", 7: "off", 9: "auto"}
        self.lag = 0
        self.good = True
        self.refuse = ""
        self.puts: list[dict[str, Any]] = []
        self._left = 0

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, str, bytes]:
        if headers.get("X-Api-Key") != KEY:
            return 401, "Unauthorized", b"{}"
        if (method, path) == ("GET", f"/proxy/network/api/s/default/stat/device/{MAC}"):
            return self._ok([self.device()])
        if (method, path) == ("PUT", "/proxy/network/api/s/default/rest/device/65ab"):
            if self.refuse:
                return 200, "OK", json.dumps({"meta": {"rc": "error", "msg": self.refuse}, "data": []}).encode()
            self.overrides = json.loads(body)["port_overrides"]
            self.puts.append(json.loads(body))
            self._left = self.lag
            return self._ok([])
        return self._ok([])

    def device(self) -> dict[str, Any]:
        if self._left:
            self._left -= 1
        else:
            self.told |= {entry["port_idx"]: entry.get("poe_mode", "auto") for entry in self.overrides}
        table = [
            {
                "port_idx": port,
                "port_poe": True,
                "portconf_id": f"p{port}",
                "poe_mode": mode,
                "poe_enable": mode != "off",
                "poe_good": mode != "off" and (self.good or port != 7),
                "poe_class": "Class 4",
            }
            for port, mode in self.told.items()
        ]
        table.append({"port_idx": 25, "port_poe": False})
        return {
            "_id": "65ab",
            "mac": MAC,
            "model": "USL8LP",
            "version": "7.1.26",
            "port_overrides": self.overrides,
            "port_table": table,
        }

    def _ok(self, data: list[Any]) -> tuple[int, str, bytes]:
        return 200, "OK", json.dumps({"meta": {"rc": "ok"}, "data": data}).encode()


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def url(console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with web(console.answer) as (where, _):
        yield where


def port_of(url: str, number: int = 7, *, key: str = KEY, switch: str = MAC, limit: float = 5.0) -> UnifiPort:
    site = Site(url, headers={"X-API-KEY": Secret(key)})
    return UnifiPort(site, switch=switch, port=number, timing=Timing(limit=limit, poll=0.01, settle=0.01))


def test_a_port_is_switched_and_all_other_overrides_stay(console: Console, url: str) -> None:
    before = list(console.overrides)
    port = port_of(url)
    assert (port.state(), port.delivers()) == ("off", False)
    assert port.identify() == "UniFi USL8LP 7.1.26"
    port.on()
    assert port.detail == "poe_mode auto, poe_good True, poe_class Class 4"
    assert port.delivers() is True
    port.off()
    assert console.puts == [
        {"port_overrides": [*before, {"port_idx": 7, "portconf_id": "p7", "poe_mode": "auto"}]},
        {"port_overrides": [*before, {"port_idx": 7, "portconf_id": "p7", "poe_mode": "off"}]},
    ]


def test_an_override_that_is_there_keeps_its_other_keys(console: Console, url: str) -> None:
    port_of(url, 2).off()
    assert console.overrides[0] == {
        "port_idx": 2,
        "name": "camera",
        "poe_mode": "off",
        "portconf_id": "p2",
        "stp_port_mode": False,
    }


def test_the_switch_tells_its_console_later(console: Console, url: str) -> None:
    console.lag = 8
    port_of(url).on()
    assert len(console.puts) == 1, "it is not told again while it is on its way"


def test_an_enabled_port_without_a_board_is_not_on(console: Console, url: str) -> None:
    console.good = False
    with pytest.raises(InfraError, match=r"it said 'unknown' \(poe_mode auto, poe_good False"):
        port_of(url, limit=0.2).on()


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"key": "wrong-key-4711"}, "answered 401"),
        ({"switch": "fc:ec:da:00:00:00"}, "knows no switch fc:ec:da:00:00:00 in the site default"),
        ({"number": 40}, "has no port 40"),
        ({"number": 25}, "has no PoE"),
    ],
)
def test_what_is_not_there(url: str, changes: dict[str, Any], cause: str) -> None:
    with pytest.raises(InfraError, match=cause) as caught:
        port_of(url, **changes).on()
    assert "4711" not in str(caught.value)


def test_a_console_that_refuses(console: Console, url: str) -> None:
    console.refuse = "api.err.NoPermission"
    with pytest.raises(InfraError, match=r"refused to switch on: .* said api\.err\.NoPermission"):
        port_of(url).on()


def test_answers_that_are_no_unifis(tmp_path: Path) -> None:
    for body in (b"<html>", b"[]", b'{"meta": 3}', b'{"meta": {"rc": "ok"}, "data": 7}', b"\xff"):
        with web(lambda *_, said=body: (200, "OK", said)) as (where, _), pytest.raises(InfraError):  # type: ignore[misc]
            port_of(where, limit=0.1).on()


HEAD = """
version: 1
name: x
boards:
  a:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    power: """
POWER = "{driver: http, preset: unifi, url: URL, outlet: OUTLET, headers: {X-API-KEY: {env: UNIFI_KEY}}}\n"


def test_from_lab_yaml(console: Console, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIFI_KEY", KEY)
    text = HEAD + POWER.replace("URL", f'"{url}"')
    port = open_port(loads(text.replace("OUTLET", f'"{MAC}/7"')).boards["a"].power)
    assert isinstance(port, UnifiPort)
    assert port._timing.limit == 90.0
    assert port.state() == "off"
    other = open_port(loads(text.replace("OUTLET", f'"hall/{MAC}/7"')).boards["a"].power)
    with pytest.raises(InfraError, match="in the site hall"):
        other.state()


def test_mistakes() -> None:
    text = HEAD + POWER.replace("URL", '"https://udm"')
    for outlet in ('"7"', f'"{MAC}"', f'"{MAC}/0"'):
        (found,) = mistakes(text.replace("OUTLET", outlet))
        assert "MAC, slash, port" in found.instead
    (found,) = mistakes(text.replace("OUTLET", f'"{MAC}/7"').replace("X-API-KEY", "X-Other"))
    assert found.what == "the API key is missing"
