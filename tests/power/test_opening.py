# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - lines of lab.yaml
"""From lab.yaml to a port: the keys that each driver takes, third-party drivers, and where secrets must not show."""

import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.config import LabConfig, LabFileError, Secret, loads
from harness.errors import ConfigError
from harness.power.command import CommandPort
from harness.power.gpio_relay import GpioRelayPort
from harness.power.http_switch import HttpPort
from harness.power.opening import open_port
from harness.power.pdu import PduPort
from harness.power.poe_snmp import PoeSnmpPort
from harness.power.usb_hub import UsbHubPort

ROOT = Path(__file__).parents[2]
PLANTED = "S3cr3t-Vq81Lm"

LAB = """
version: 1
name: shelf
boards:
  pi4-b:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    power: {power}
"""

GOOD = {
    "{driver: poe-snmp, host: 10.0.0.20, port: 7, community: {env: S}}": (
        PoeSnmpPort,
        "PoE switch 10.0.0.20:161 port 7",
    ),
    '{driver: poe-snmp, host: sw, group: 2, port: 7, version: "3", user: u, auth_key: {env: S}, privacy: AES-256, privacy_key: {env: S}}': (
        PoeSnmpPort,
        "PoE switch sw:161 port 7",
    ),
    "{driver: gpio-relay, pin: 17}": (GpioRelayPort, "relay on GPIO17 (lgpio)"),
    "{driver: gpio-relay, pin: 17, active: low, contact: normally-closed, factory: pigpio, host: relay-pi, on_exit: off}": (
        GpioRelayPort,
        "relay on GPIO17 (relay-pi:8888)",
    ),
    '{driver: pdu, hostname: apc-1, port: "3"}': (PduPort, "pdudaemon localhost:16421 apc-1 port 3"),
    '{driver: pdu, url: "http://pdu.lab:16421", alias: pi4-b, read_back: {command: [look, "3"], on: {output: "^on"}, off: {status: 1}}}': (
        PduPort,
        "pdudaemon pdu.lab:16421 alias pi4-b",
    ),
    '{driver: http, preset: shelly-gen2, url: "http://10.0.0.31", user: admin, password: {env: S}}': (
        HttpPort,
        "switch 10.0.0.31 outlet 0",
    ),
    (
        '{driver: http, url: "https://sw.lab/api", tls: insecure, headers: {X-API-Key: {env: S}}, on: {path: /on, method: POST,'
        ' body: "{}"}, off: {path: /off}, state: {path: /state}, reads: {json_path: a.0, on: "1", off: "0"}}'
    ): (HttpPort, "switch sw.lab outlet 0"),
    '{driver: command, on: [r, "on"], off: [r, "off"], read_back: {command: [r], on: {status: 0}, off: {status: 1}}, environment: {T: {env: S}}}': (
        CommandPort,
        "command r",
    ),
    "{driver: usb-hub, hub: 1-1.2, port: 2}": (UsbHubPort, "USB hub 1-1.2 port 2"),
}


def lab(power: str) -> LabConfig:
    return loads(LAB.replace("{power}", power))


@pytest.mark.parametrize(("power", "expected"), GOOD.items(), ids=[power[9:40] for power in GOOD])
def test_lab_yaml_opens(power: str, expected: tuple[type, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S", PLANTED)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    config = lab(power)
    port = open_port(config.boards["pi4-b"].power)
    assert isinstance(port, expected[0])
    assert port.identity == expected[1]
    assert not config.boards["pi4-b"].emulated


BAD = {
    "{driver: poe-snmp, host: sw, port: 7}": "the community is missing",
    "{driver: poe-snmp, host: sw, port: 7, community: public}": "a secret must not stand in lab.yaml",
    "{driver: poe-snmp, host: sw, port: 0, community: {env: S}}": "out of range",
    '{driver: poe-snmp, host: "sw;reboot", port: 7, community: {env: S}}': "is not a host",
    '{driver: poe-snmp, host: sw, port: 7, version: "3"}': "the user is missing",
    '{driver: poe-snmp, host: sw, port: 7, version: "3", user: u, privacy_key: {env: S}}': "no encryption without",
    '{driver: poe-snmp, host: sw, port: 7, version: "3", user: u, community: {env: S}}': "version 3 knows no community",
    "{driver: poe-snmp, host: sw, port: 7, community: {env: S}, user: u}": "version 2c knows no user",
    "{driver: gpio-relay, pin: 99}": "out of range",
    "{driver: gpio-relay, pin: 17, host: relay-pi}": "only the factory pigpio has a host",
    "{driver: gpio-relay, pin: 17, factory: mock, chip: 0}": "only the factory lgpio has a chip",
    "{driver: gpio-relay, pin: 17, on_exit: of}": "is not one of the choices",
    "{driver: pdu}": "one outlet has to be named",
    "{driver: pdu, hostname: apc}": "one outlet has to be named",
    '{driver: pdu, hostname: apc, port: "3", alias: a}': "one outlet has to be named",
    "{driver: pdu, hostname: apc, port: 3}": "YAML reads 3 as a number",
    '{driver: http, preset: shelly-gen2, url: "http://admin:S3cr3t-Vq81Lm@sw"}': "must not stand in the URL",
    '{driver: http, preset: shelly-gen2, url: "file:///etc/passwd"}': "this is not a URL of a switch",
    '{driver: http, url: "http://sw"}': "requests are missing",
    '{driver: http, preset: shelly-gen2, url: "http://sw", on: {path: /on}}': "there are a preset and requests",
    '{driver: http, preset: shelly-gen2, url: "http://sw", user: admin}': "user and password go together",
    '{driver: http, preset: shelly, url: "http://sw"}': "is not one of the choices",
    '{driver: http, url: "http://sw", on: {path: "/a b"}, off: {path: /o}, state: {path: /s}, reads: {on: a, off: b}}': "not a path",
    '{driver: http, url: "http://sw", on: {path: /n}, off: {path: /o}, state: {path: /s}, reads: {on: "(", off: b}}': (
        "not a regular expression"
    ),
    "{driver: command, on: relay on, off: [r], read_back: {command: [r], on: {status: 0}, off: {status: 1}}}": "a list should be",
    "{driver: command, on: [r], off: [r]}": "is missing",
    "{driver: command, on: [r], off: [r], read_back: {command: [r], on: {}, off: {status: 1}}}": "neither output nor status",
    "{driver: command, on: [], off: [r], read_back: {command: [r], on: {status: 0}, off: {status: 1}}}": "is empty",
    '{driver: usb-hub, hub: "1-1; rm", port: 2}': "is not a hub's location",
}


@pytest.mark.parametrize(("power", "what"), BAD.items(), ids=range(len(BAD)))
def test_mistakes(power: str, what: str) -> None:
    with pytest.raises(LabFileError) as caught:
        lab(power)
    assert what in str(caught.value)
    assert caught.value.place.startswith("lab.yaml:9:")
    assert caught.value.remedy
    assert PLANTED not in str(caught.value)


@pytest.mark.parametrize("power", [power for power in GOOD if "env: S" in power])
def test_a_secret_that_is_not_there_is_told_by_its_place(power: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S", raising=False)
    config = lab(power)
    with pytest.raises(ConfigError, match="the environment variable S is not set"):
        open_port(config.boards["pi4-b"].power)


@pytest.mark.parametrize("power", [power for power in GOOD if "env: S" in power])
def test_secrets_show_nowhere(power: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """repr of everything reachable, the dump of the lab for records, and pickles."""
    monkeypatch.setenv("S", PLANTED)
    config = lab(power)
    port = open_port(config.boards["pi4-b"].power)
    assert PLANTED not in repr(config)
    assert PLANTED not in str(config.dump())
    seen: list[str] = [repr(port), repr(vars(port))]
    for value in list(vars(port).values()):
        seen.append(repr(value))
        if hasattr(value, "__dict__") and not isinstance(value, type):
            seen.append(repr({key: inner for key, inner in vars(value).items() if not key.startswith("_opener")}))
        if dataclasses.is_dataclass(value):
            seen += [repr(getattr(value, name.name)) for name in dataclasses.fields(value)]
    assert PLANTED not in "".join(seen)
    with pytest.raises(TypeError):
        pickle.dumps(Secret(PLANTED))


def dist(folder: Path, code: str) -> None:
    """A package with a power driver, as pip would have installed it into `folder`."""
    (folder / "acme_relay.py").write_text(code)
    info = folder / "acme_relay-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-relay\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[piboot.power]\nacme-relay = acme_relay:AcmeRelay\n")


def documented_driver() -> str:
    """The driver in docs/power.md."""
    page = (ROOT / "docs/power.md").read_text(encoding="utf-8")
    _, _, rest = page.partition("<!-- driver -->\n```python\n")
    code, found, _ = rest.partition("```")
    assert found
    return code


def test_the_documented_third_party_driver_works_and_has_30_lines_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = documented_driver()
    assert len(code.splitlines()) <= 30
    dist(tmp_path, code)
    monkeypatch.syspath_prepend(str(tmp_path))
    device = tmp_path / "relay-3"
    device.write_text("0")
    config = lab(f"{{driver: acme-relay, device: {device}}}")
    port: Any = open_port(config.boards["pi4-b"].power)
    assert port.state() == "off"
    port.on()
    assert device.read_text() == "1"
    assert port.state() == "on"
    port.off()
    assert device.read_text() == "0"
    sys.modules.pop("acme_relay")


def test_a_third_party_driver_that_does_not_take_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dist(tmp_path, documented_driver())
    monkeypatch.syspath_prepend(str(tmp_path))
    config = lab("{driver: acme-relay, devcie: /dev/null}")
    with pytest.raises(ConfigError, match=r"acme-relay \(acme_relay:AcmeRelay\) cannot be opened: TypeError") as caught:
        open_port(config.boards["pi4-b"].power)
    assert "under `power:`" in caught.value.remedy
    sys.modules.pop("acme_relay")


@pytest.mark.gear
def test_a_driver_is_imported_only_when_it_is_used() -> None:
    code = "import sys, harness.power.opening, harness.power.poe_snmp, harness.power.gpio_relay; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"pysnmp", "gpiozero", "serial", "scapy"} & set(done.stdout.split()) == set()
