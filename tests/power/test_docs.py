# SPDX-License-Identifier: GPL-2.0-or-later
"""The example labs load and open, and the page about power shows what the drivers take."""

import re
import textwrap
from pathlib import Path

import pytest

from harness.board.bootconf import parse, text_of, wanted
from harness.config import load, loads
from harness.config.power import DRIVERS
from harness.lab.places import place_of, power_of
from harness.models import MODELS
from harness.power.http_switch import PRESETS

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
        if not board.emulated:
            assert power_of(board, place_of(lab, board)).identity
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


@pytest.mark.parametrize("name", ["poe-shelf", "relay-pi"])
def test_the_wiring_of_an_example_names_what_its_lab_yaml_names(name: str) -> None:
    lab, page = load(DOCS / f"labs/{name}.yaml"), (DOCS / f"labs/{name}.md").read_text(encoding="utf-8")
    for board in lab.boards.values():
        power = board.power
        where = {"poe-snmp": "| {port} |", "gpio-relay": "| GPIO{pin} "}[power.driver].format(**power.model_dump())
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {board.name} |")]
        assert where in row, (board.name, where)
        if MODELS[board.model].bootloader == "eeprom":
            assert parse(text_of(wanted(lab, board), board.name)), "piboot eeprom has something to say of it"


def test_the_commands_of_the_pages_exist() -> None:
    from harness.cli import app  # noqa: PLC0415

    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    known |= {group.name for group in app.registered_groups}
    for page in [*DOCS.glob("*.md"), *(DOCS / "labs").glob("*.md")]:
        for word in re.findall(r"^(?:sudo )?piboot ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert word in known, (page.name, word)
