# SPDX-License-Identifier: GPL-2.0-or-later
"""The example labs load and open, and the page about power shows what the drivers take."""

import re
import textwrap
from pathlib import Path

import pytest

from harness.config import load, loads
from harness.config.power import DRIVERS
from harness.power.http_switch import PRESETS
from harness.power.opening import open_port

DOCS = Path(__file__).parents[2] / "docs"
LABS = sorted((DOCS / "labs").glob("*.yaml"))
PAGE = (DOCS / "power.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SNMP_AUTH", "SNMP_PRIVACY", "SNMP_COMMUNITY", "PI_PASSWORD", "SHELLY_PASSWORD", "PDU_KEY"):
        monkeypatch.setenv(name, "planted-secret")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_the_example_labs_open(path: Path) -> None:
    lab = load(path)
    for board in lab.boards.values():
        if board.emulated:
            continue
        assert open_port(board.power).identity
    assert path.name in (DOCS / "labs/README.md").read_text(encoding="utf-8")


def test_the_examples_of_the_page_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = 'version: 1\nname: x\nboards:\n  a:\n    model: pi4\n    serial_number: "91cdf03d"\n    mac: "e4:5f:01:09:02:f7"\n'
    seen = set()
    for block in re.findall(r"```yaml\n(power:.*?)```", PAGE, re.DOTALL):
        seen.add(loads(head + textwrap.indent(block, "    ")).boards["a"].power.driver)
    assert seen == set(DRIVERS)


def test_every_driver_and_preset_is_on_the_page() -> None:
    for name in [*DRIVERS, *PRESETS, "unifi"]:
        assert f"`{name}`" in PAGE
