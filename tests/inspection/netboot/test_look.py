# SPDX-License-Identifier: GPL-2.0-or-later
"""What the look at a lab's servers leaves out, and where it asks; no server is there."""

import ipaddress
from pathlib import Path

import pytest

from harness.config import LabConfig, loads
from harness.inspection.netboot import look
from harness.inspection.netboot.dhcp import Told, Window
from harness.inspection.netboot.interfaces import interface_for, networks
from harness.inspection.netboot.pi import Pi
from harness.inspection.netboot.seen import Ask, Look
from tests.config.samples import GOOD

LAB = """version: 1
name: n
locks: {locks}
wires:
  here: {{kind: interface, interface: nowhere0}}
  there: {{kind: ssh, host: pi, interface: eth0}}
servers:
  own: {{kind: external, dhcp: [127.0.0.1]}}
boards:
  b: {{model: {model}, serial_number: "5ce8a2f1", mac: "{mac}", server: own,
      power: {{driver: pdu, hostname: p, port: "1"}}{more}}}
"""


def lab(tmp_path: Path, more: str = "", model: str = "pi4") -> LabConfig:
    mac = "b8:27:eb:e8:a2:f1" if model == "pi3b" else "dc:a6:32:01:02:03"
    return loads(LAB.format(locks=tmp_path / "locks", more=more, model=model, mac=mac))


def seen(config: LabConfig) -> Look:
    (found,) = look.look_at_servers(config, window=Window(0.01, 0.02, 0.04))
    return found


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "DHCP: the board has no `wire:`"),
        (", wire: there", "DHCP: its wire is on another host: run `piboot check` there"),
        (", wire: here", "DHCP: there is no network interface 'nowhere0'"),
        (", eeprom: {CLIENT_IP: 10.0.0.9, TFTP_IP: 127.0.0.1}", "DHCP: the board has its addresses in its EEPROM"),
    ],
)
def test_what_is_skipped_is_said(more: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "_files", lambda *_: None)
    found = seen(lab(tmp_path, more))
    assert found.skipped[0].startswith(said)
    assert found.skipped[-1].startswith("the root: neither")
    assert found.ok, "what was not looked at is no fault"


def test_a_board_that_somebody_has_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Locks:
        def look(self, _key: str) -> tuple[str, None]:
            return "held", None

    monkeypatch.setattr(look, "locks_of", lambda _lab: Locks())
    found = seen(lab(tmp_path, ", wire: here"))
    assert found.skipped[0] == "DHCP: somebody has the board; packets with its MAC address would disturb it"


def test_an_emulated_lab_has_no_server_to_look_at() -> None:
    assert look.look_at_servers(loads(GOOD)) == []


def test_a_look_that_fails_says_so_and_ends_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Pi:
        raise ZeroDivisionError("no\x1b[31m sense")

    monkeypatch.setattr(look, "pi_of", broken)
    found = seen(lab(tmp_path))
    assert [(one.id, found.ok) for one in found.findings] == [("look-failed", False)]
    assert "ZeroDivisionError" in found.findings[0].title
    missing = lab(tmp_path, ", wire: here")
    broken_wire = loads(
        LAB.replace("nowhere0}}", "nowhere0, namespace: nowhere}}").format(
            locks=tmp_path / "locks", more=", wire: here", model="pi4", mac="dc:a6:32:01:02:03"
        )
    )
    assert missing.wires != broken_wire.wires
    assert "the namespace nowhere cannot be entered" in seen(broken_wire).findings[0].title


def test_the_interface_that_reaches_the_servers() -> None:
    known = {
        "lo": ipaddress.IPv4Interface("127.0.0.1/8"),
        "eth0": ipaddress.IPv4Interface("10.0.0.5/24"),
        "eth1": ipaddress.IPv4Interface("192.168.1.5/24"),
    }
    assert interface_for("eth0", ["10.0.0.1"], known) == "eth0"
    assert interface_for("mirror0", ["10.0.0.1"], known) == "eth0", "a mirror port has no address"
    assert interface_for("eth1", ["10.0.0.1"], known) == "eth0"
    assert interface_for("eth1", ["10.9.0.1"], known) == "eth1", "behind a relay"
    assert interface_for("eth1", [], known) == "eth1"
    assert interface_for("eth1", ["127.0.0.1"], known) == "eth1", "never by lo"
    assert str(networks()["lo"].ip) == "127.0.0.1"


def test_silence_on_a_mirror_port_is_no_fault_of_the_servers() -> None:
    from harness.boot.record import Finding  # noqa: PLC0415

    silent = Finding(id="dhcp-no-answer", title="no DHCP server answered", stage="dhcp", who="server", remedy="x")
    told = Told(Ask("eeprom", 322), (silent,))
    (warned,) = look._on("eth1", told, addressed=False).findings
    assert (warned.severity, "may be a mirror port" in warned.title) == ("warning", True)
    assert look._on("eth1", told, addressed=True).findings == (silent,)
