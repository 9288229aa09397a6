# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a board's loss of power, and what a cycle makes of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.power.evidence import Evidence, power_loss
from harness.power.journal import JournaledPort, PowerJournal, edges_of
from harness.power.port import cycle

from .doubles import Clock, DoublePort, Outlet


def says(value: bool | None) -> Callable[[], bool | None]:
    return lambda: value


def fails() -> bool | None:
    raise InfraError("the console is closed")


@pytest.mark.parametrize(
    ("pieces", "proved", "words"),
    [
        ([], None, "cannot know whether the board lost power: nothing but the port itself was asked"),
        (
            [("console silent", says(None))],
            None,
            "cannot know whether the board lost power: console silent could not tell",
        ),
        ([("console silent", fails)], None, "console silent (the console is closed) could not tell"),
        ([("link down", says(True)), ("console silent", says(None))], True, "link down"),
        ([("link down", says(True)), ("console silent", says(False))], False, "not so: console silent"),
    ],
)
def test_evidence(pieces: list[tuple[str, Callable[[], bool | None]]], proved: bool | None, words: str) -> None:
    loss = power_loss([Evidence(name, lost) for name, lost in pieces])
    assert loss.proved is proved
    assert words in loss.words


def test_a_board_that_lives_on_ends_the_cycle_with_the_port_off() -> None:
    outlet, clock = Outlet(powered=True), Clock()
    port = DoublePort(outlet, clock.timing())
    with pytest.raises(
        InfraError, match="says off, but the board did not lose power: not so: console silent"
    ) as caught:
        cycle(
            port, 2.0, evidence=[Evidence("console silent", says(False))], monotonic=clock.monotonic, sleep=clock.sleep
        )
    assert "relay that sticks" in caught.value.remedy
    assert outlet.commands == ["off"]


def test_evidence_is_asked_at_the_end_of_the_off_time() -> None:
    outlet, clock = Outlet(powered=True), Clock()
    asked: list[tuple[float, bool]] = []

    def lost() -> bool | None:
        asked.append((clock.now, outlet.powered))
        return True

    port = DoublePort(outlet, clock.timing())
    loss = cycle(port, 2.0, evidence=[Evidence("link down", lost)], monotonic=clock.monotonic, sleep=clock.sleep)
    assert loss.proved
    assert len(asked) == 1
    assert asked[0][0] >= 2.0
    assert not asked[0][1]
    assert outlet.commands == ["off", "on"]


def test_the_loss_stands_on_the_journal_and_is_no_edge(tmp_path: Path) -> None:
    port = JournaledPort(DoublePort(Outlet(powered=True), Clock().timing()), PowerJournal(tmp_path))
    port.cycle(0.0)
    rows = [json.loads(line) for line in (tmp_path / "power.jsonl").read_text().splitlines()]
    assert [row["phase"] for row in rows] == ["asked", "confirmed", "asked", "confirmed", "loss"]
    assert rows[-1]["proved"] is None
    assert "cannot know" in rows[-1]["detail"]
    assert [edge.phase for edge in edges_of(tmp_path / "power.jsonl")] == ["asked", "confirmed", "asked", "confirmed"]
