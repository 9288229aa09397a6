# SPDX-License-Identifier: GPL-2.0-or-later
"""Real gear that fails, seen from a whole boot: `infra`, in bounded time, with the record kept and no secret in any file."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.config import loads
from harness.lab import Lab
from harness.power.journal import edges_of
from harness.run import Run
from harness.run.replay import read_record

from .snmpd import AUTH, COMMUNITY, PRIVACY, Switch, snmpd

pytestmark = pytest.mark.gear

LAB = """
version: 1
name: shelf
boards:
  shelf-7:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    power:
      driver: poe-snmp
      host: 127.0.0.1
      udp_port: UDP_PORT
      port: 7
      timeout: 1.0
      retries: 0
      limit: 1.0
      CREDENTIALS
"""
V2 = "community: {env: PLANTED_COMMUNITY}"
V3 = 'version: "3"\n      user: poe\n      auth_key: {env: PLANTED_AUTH}\n      privacy_key: {file: PRIVACY_FILE}'
WRONG = "wrong-Jq5Yt0Xk"


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_COMMUNITY", COMMUNITY)
    monkeypatch.setenv("PLANTED_AUTH", AUTH)
    (tmp_path / "privacy").write_text(PRIVACY + "\n")
    (tmp_path / "privacy").chmod(0o600)


def nothing(_switch: Switch, _patch: pytest.MonkeyPatch) -> None:
    pass


def denied(switch: Switch, _patch: pytest.MonkeyPatch) -> None:
    switch.change(manner="denied")


def stuck(switch: Switch, _patch: pytest.MonkeyPatch) -> None:
    switch.change(manner="stuck")


def wrong_key(_switch: Switch, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PLANTED_AUTH", WRONG)


def wrong_community(_switch: Switch, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PLANTED_COMMUNITY", WRONG)


@pytest.mark.parametrize(
    ("credentials", "fault", "verdict", "cause"),
    [
        (V2, nothing, "passed", ""),
        (V3, nothing, "passed", ""),
        (V2, denied, "infra", "port 7: denied, power budget (62 of 65 W in use)"),
        (V3, stuck, "infra", "last: it said 'off' (disabled)"),
        (V3, wrong_key, "infra", "the authentication key or its kind is wrong"),
        (V2, wrong_community, "infra", "it does not know this community"),
    ],
)
def test_boots_on_a_poe_switch(
    credentials: str,
    fault: Callable[[Switch, pytest.MonkeyPatch], None],
    verdict: str,
    cause: str,
    tmp_path: Path,
    planted: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    reports, gear = tmp_path / "reports", tmp_path / "gear"
    gear.mkdir()
    with snmpd(gear) as switch:
        fault(switch, monkeypatch)
        text = LAB.replace("UDP_PORT", str(switch.port)).replace("CREDENTIALS", credentials)
        config = loads(text.replace("PRIVACY_FILE", str(tmp_path / "privacy")))
        began = time.monotonic()
        boot = None
        try:
            with Lab(config, Run.create(reports, lab="shelf")) as lab:
                boot = lab.board("shelf-7").boot(until="power")
        except Exception as error:  # the lab cannot switch its boards off either: told, not hidden
            print(error)
        assert time.monotonic() - began < 15
        assert boot is not None
        assert boot.verdict == verdict, boot.record.reason
        record = read_record(boot.folder / "record.json")
        assert cause in record.model_dump_json().replace("\\\\", "\\")
        if verdict == "passed":
            edges = [(edge.on, edge.phase) for edge in edges_of(boot.folder / "power.jsonl")]
            assert edges == [(True, "asked"), (True, "confirmed"), (False, "asked"), (False, "confirmed")]
        assert switch.data["ports"]["7"]["status"] != 3, "the board is left without power"
    said = capfd.readouterr()
    for secret in (COMMUNITY, AUTH, PRIVACY, WRONG):
        assert secret not in said.out + said.err
        for path in reports.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path
