# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards that are labgrid places: what they bring, and what is said when lab.yaml names half of it."""

import pytest

from harness.config import loads, schema
from harness.config.labgrid import LabgridConsole, LabgridPower
from harness.models import MODELS
from tests.config.samples import mistakes

HEAD = """version: 1
name: rack
labgrid: {coordinator: "lab-server:20408"}
wires: {mirror: {kind: labgrid}, bench: {kind: interface, interface: eth1}}
boards:
"""
BOARD = '  a: {model: pi4, serial_number: "91cdf03d", mac: "e4:5f:01:09:02:f7"'
OTHER = '  b: {model: pi4, serial_number: "91cdf03e", mac: "e4:5f:01:09:02:f8"'
COMMAND = "power: {driver: command, on: [x], off: [y], read_back: {command: [z], on: {status: 0}, off: {status: 1}}}"


def test_a_place_brings_power_and_console_unless_the_board_has_its_own() -> None:
    lab = loads(f"{HEAD}{BOARD}, place: rack1-pi4, wire: mirror}}\n{OTHER}, place: rack1-b, {COMMAND}}}\n")
    first, second = lab.boards.values()
    assert isinstance(first.power, LabgridPower)
    assert isinstance(first.console, LabgridConsole)
    assert first.budgets_for(MODELS["pi4"])["power"] == 30.0
    assert second.power.driver == "command"
    assert isinstance(second.console, LabgridConsole)
    assert second.budgets_for(MODELS["pi4"])["power"] < 30.0
    assert lab.labgrid is not None
    assert lab.labgrid.client == "labgrid-client"


@pytest.mark.parametrize(
    ("text", "said", "instead"),
    [
        (f"{HEAD.replace('labgrid: {coordinator: ', 'x-labgrid: {c: ')}{BOARD}, place: p}}", "the lab has no labgrid coordinator",
         "add labgrid: {coordinator: HOST:20408} at the top"),
        (f"{HEAD}{BOARD}, power: {{driver: labgrid}}}}", "the board is no place of labgrid", "add place: NAME"),
        (f"{HEAD}{BOARD}, {COMMAND}, console: {{driver: labgrid}}}}", "the board is no place of labgrid", "add place: NAME"),
        (f"{HEAD}{BOARD}, {COMMAND}, wire: mirror}}", "the wire 'mirror' is that of a labgrid place", "add place"),
        (f"{HEAD}{BOARD}, place: p}}\n{OTHER}, place: p}}", "the board 'a' has the same labgrid place", "its own labgrid place"),
        (f"{HEAD}{BOARD}, place: +token}}", "'+token' is not a place's name", "labgrid-client places"),
        (f"{HEAD}{BOARD}}}", "boards.a.power: is missing", "add power"),
        (f"{HEAD}{BOARD}, place: p, power: {{driver: emulated}}}}", "is no place of labgrid", "remove it"),
        (HEAD.replace("lab-server:20408", "http://x") + f"{BOARD}, place: p}}", "is not a coordinator's address", "20408"),
        (HEAD.replace('"}', '", client: "x; reboot"}', 1) + f"{BOARD}, place: p}}", "is not a program", "without blanks"),
    ],
)  # fmt: skip
def test_half_of_a_place(text: str, said: str, instead: str) -> None:
    found = [mistake for mistake in mistakes(text) if said in mistake.sentence]
    assert found, [str(mistake) for mistake in mistakes(text)]
    assert instead in found[0].instead
    assert found[0].line


def test_an_editor_wants_power_or_a_place() -> None:
    board = schema.schema()["$defs"]["BoardConfig"]
    assert "power" not in board["required"]
    assert board["anyOf"] == [{"required": ["power"]}, {"required": ["place"]}]


def test_names_of_resources_of_two_places_may_be_the_same() -> None:
    loads(f"{HEAD}{BOARD}, place: p, power: {{driver: labgrid, name: main}}}}\n"
          f"{OTHER}, place: q, power: {{driver: labgrid, name: main}}}}\n")  # fmt: skip


@pytest.mark.parametrize("value", ["-1", "abc", "1e9"])
def test_a_wait_that_is_none(value: str) -> None:
    found = mistakes(f"{HEAD}{BOARD}, place: p}}\npolicy: {{wait: {value}}}\n")
    assert any("policy.wait" in mistake.path for mistake in found)


def test_locks_are_a_folder_with_its_full_path() -> None:
    assert loads(f"{HEAD}{BOARD}, place: p}}\nlocks: /srv/locks\n").locks == "/srv/locks"
    assert any(
        "is not an absolute path" in str(mistake) for mistake in mistakes(f"{HEAD}{BOARD}, place: p}}\nlocks: locks\n")
    )
