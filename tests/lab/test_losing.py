# SPDX-License-Identifier: GPL-2.0-or-later
"""A board that is on when a boot begins: its power is taken away first, and the record says what proves that it lost it."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.board import Board
from harness.board.losing import ClassGone, LinkDown, local_carrier
from harness.run import Run
from harness.run.replay import replay
from tests.lab.doubles import BOOT_TEXT, MemoryPort, Pty, make_board

pytestmark = pytest.mark.gear


class Answering(Pty):
    """A board's line that echoes what is typed, as long as `alive` says so."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = True
        self.typed = bytearray()
        self._end, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._echo, daemon=True)
        self._thread.start()

    def _echo(self) -> None:
        import select  # noqa: PLC0415

        while True:
            ready, _, _ = select.select([self._board, self._end], [], [])
            if self._end in ready:
                return
            data = os.read(self._board, 100)
            self.typed += data
            if self.alive:
                os.write(self._board, data)

    def close(self) -> None:
        os.write(self._wake, b"x")
        self._thread.join(10)
        os.close(self._end)
        os.close(self._wake)
        super().close()


@pytest.fixture
def pty() -> Iterator[Answering]:
    line = Answering()
    yield line
    line.close()


class Feeding(MemoryPort):
    """A port that is on already, and tells the board's line of it."""

    def __init__(self, pty: Answering | None = None, *, sticks: bool = False) -> None:
        super().__init__()
        self._state = "on"
        self._pty, self._sticks = pty, sticks

    def off(self) -> None:
        super().off()
        if self._pty is not None and not self._sticks:
            self._pty.alive = False


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "power.jsonl").read_text().splitlines()]


def board_on(run: Run, pty: Answering | None, power: MemoryPort, off_time: float = 1.0) -> Board:
    board = make_board(run, pty, BOOT_TEXT, power=power)
    board.off_time = off_time
    return board


def test_a_console_that_answered_and_is_silent_proves_it(run: Run, pty: Answering) -> None:
    board = board_on(run, pty, Feeding(pty))
    boot = board.boot()
    board.off()
    assert boot.passed, boot.record.reason
    assert boot.record.power_loss is not None
    assert (boot.record.power_loss.proved, boot.record.power_loss.text) == (True, "console silent")
    assert pty.typed == b"..", "what is typed starts nothing in a bootloader"
    assert replay(boot.folder).power_loss == boot.record.power_loss
    assert boot.record.started > boot.record.power_loss.t


def test_a_board_that_lives_on_is_infra_with_its_port_off(run: Run, pty: Answering) -> None:
    """Fed by something else, or a relay that sticks."""
    power = Feeding(pty, sticks=True)
    boot = board_on(run, pty, power).boot()
    assert boot.verdict == "infra"
    assert "says off, but the board did not lose power: not so: console silent" in boot.record.reason
    assert power.state() == "off"
    assert power.history == ["off"]


def test_a_console_that_never_answered_proves_nothing(run: Run, pty: Answering) -> None:
    pty.alive = False
    board = board_on(run, pty, Feeding(pty))
    boot = board.boot()
    board.off()
    assert boot.passed
    assert boot.record.power_loss is not None
    assert boot.record.power_loss.proved is None
    assert "cannot know whether the board lost power: console silent could not tell" in boot.record.power_loss.text


def test_link_and_class(run: Run) -> None:
    """The first that can prove it; the console is not asked then."""
    power = Feeding()
    board = board_on(run, None, power, off_time=0.0)
    board.gear = replace(board.gear, signs=lambda: (LinkDown(lambda: power.state() == "on"),))
    first = board.boot(until="power")
    assert first.record.power_loss is not None
    assert first.record.power_loss.text == "link down"
    power.delivers = lambda: power.state() == "on"  # type: ignore[attr-defined]
    second = board.boot(until="power")
    assert second.record.power_loss is not None
    assert second.record.power_loss.text == "link down, PoE class gone"
    board.off()


def test_a_link_that_stays_up_is_a_board_that_lives(run: Run) -> None:
    power = Feeding()
    board = board_on(run, None, power, off_time=0.0)
    board.gear = replace(board.gear, signs=lambda: (LinkDown(lambda: True),))
    boot = board.boot(until="power")
    assert boot.verdict == "infra"
    assert "not so: link down" in boot.record.reason


def test_signs_that_cannot_tell() -> None:
    for sign in (LinkDown(lambda: None), LinkDown(lambda: False), ClassGone(lambda: None)):
        assert not sign.alive()
        assert sign.lost() is None
    assert local_carrier("no-such-if") is None
    assert local_carrier("lo") in {True, None}


def test_the_off_time_counts_from_the_confirmed_off(run: Run) -> None:
    board = board_on(run, None, Feeding(), off_time=0.4)
    boot = board.boot(until="power")
    off, loss, on = (row["t"] for row in rows(boot.folder)[1:4])
    assert isinstance(off, float)
    assert isinstance(on, float)
    assert isinstance(loss, float)
    assert on - off >= 0.4
    board.off()
    again = board.boot(until="power")
    confirmed = rows(boot.folder)[-1]["t"]
    assert isinstance(confirmed, float)
    assert again.record.started - confirmed >= 0.4 - 0.01, "also when it was off already"
    assert again.record.power_loss is not None
    assert again.record.power_loss.text == "it was off when the boot began, as its power port says"
    board.off()
