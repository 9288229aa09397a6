# SPDX-License-Identifier: GPL-2.0-or-later
"""A real board's power by hand: state, on, off, and a cycle that says what proves that the board lost it. No boot is watched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.board.losing import ClassGone, ConsoleSilent, LinkDown, Sign, local_carrier, take_power
from harness.config import BoardConfig, InterfaceWire, LabConfig
from harness.config.labgrid import LabgridPower
from harness.config.power import GpioRelayPower
from harness.errors import ConfigError, HarnessError
from harness.power.journal import JournaledPort, PowerJournal
from harness.run.folder import command

if TYPE_CHECKING:
    from harness.power.evidence import Loss
    from harness.power.port import PowerPort, State

Action = Literal["on", "off", "cycle", "state"]


@dataclass(frozen=True)
class Switched:
    """What was done. before, after: as the port read back; detail: its own words; loss: of a cycle; seconds: it took."""

    board: str
    port: str
    before: State
    after: State
    detail: str
    loss: Loss | None
    seconds: float

    @property
    def proved(self) -> bool | None:
        """Whether the board is known to have lost its power; None when nobody can know."""
        return self.loss.proved if self.loss is not None else None


def real_board(lab: LabConfig, name: str, emulated: tuple[str, str] | None = None) -> BoardConfig:
    """ConfigError: there is none of that name, or it is emulated. emulated: what to say then, and the remedy."""
    if name not in lab.boards:
        known = ", ".join(lab.boards)
        raise ConfigError(f"there is no board {name!r}", place=lab.path, remedy=f"choose of: {known}")
    board = lab.boards[name]
    if board.emulated:
        what, remedy = emulated or (
            "it has a power port only while a run lasts, and that run switches it",
            f"`piboot console {name} --power` starts it and gives you its console; `piboot boot {name}` judges a boot",
        )
        raise ConfigError(f"{name} is emulated: {what}", place=lab.path, remedy=remedy)
    return board


@contextmanager
def ours(lab: LabConfig, board: BoardConfig, folder: Path | None = None) -> Iterator[None]:
    """The board's lease, and its labgrid place, for one command; folder: where others find what it leaves. InfraError, at once:
    somebody has it."""
    from harness.lab.places import place_of  # noqa: PLC0415
    from harness.sharing.leases import Leases, key_of, locks_of  # noqa: PLC0415

    run = str(folder.resolve()) if folder is not None else ""
    leases = Leases(locks_of(lab), {board.name: key_of(lab, board)}, wait=0.0, what=command(), run=run)
    try:
        leases.take(board.name)
        place = place_of(lab, board)
        if place is None:
            yield
            return
        place.acquire(0.0)
        try:
            yield
        finally:
            place.release()
    finally:
        leases.close()


@contextmanager
def power_of(lab: LabConfig, board: BoardConfig) -> Iterator[PowerPort]:
    """A board's port, opened for one command: a relay keeps its level when the command ends, whatever `on_exit` says of runs."""
    from harness.lab.places import place_of  # noqa: PLC0415
    from harness.lab.places import power_of as opened  # noqa: PLC0415

    if isinstance(board.power, GpioRelayPower):
        board = board.model_copy(update={"power": board.power.model_copy(update={"on_exit": "keep"})})
    port = opened(board, place_of(lab, board))
    try:
        yield port
    finally:
        if (close := getattr(port, "close", None)) is not None:
            close()


def switch_board(
    lab: LabConfig, board: BoardConfig, action: Action, folder: Path, off_time: float | None = None
) -> Switched:
    """Do it, proven by read-back; folder: for the power journal and what the console says meanwhile; off_time: seconds without
    power in a cycle, the lab's when None.

    InfraError: the gear does not do it, or a run has the board: its power is its own. ConfigError as `open_port`.
    """
    begin = time.monotonic()
    with ExitStack() as stack:
        # labgrid tells the state of a power port only to who has acquired the place.
        if action != "state" or isinstance(board.power, LabgridPower):
            stack.enter_context(ours(lab, board))
        port = stack.enter_context(power_of(lab, board))
        power = JournaledPort(port, PowerJournal(folder))
        before = power.state()
        loss = None
        if action == "on":
            power.on()
        elif action == "off":
            power.off()
        elif action == "cycle":
            loss = take_power(
                power, lab.policy.off_time if off_time is None else off_time, _signs(lab, board, port, folder, stack)
            )
            power.on()
        after = power.state() if action != "state" else before
        return Switched(board.name, port.identity, before, after, port.detail, loss, round(time.monotonic() - begin, 3))


def _signs(lab: LabConfig, board: BoardConfig, port: PowerPort, folder: Path, stack: ExitStack) -> list[Sign]:
    """What can show that the board, not only its port, lost its power."""
    from harness.lab import places  # noqa: PLC0415

    signs: list[Sign] = []
    wire = lab.wire_of(board)
    if isinstance(wire, InterfaceWire) and wire.direct:
        signs.append(LinkDown(lambda: local_carrier(wire.interface)))
    if (delivers := getattr(port, "delivers", None)) is not None:
        signs.append(ClassGone(delivers))
    if (open_console := places.console_of(board, places.place_of(lab, board))) is not None:
        try:
            console = open_console(folder, lambda _event: None, lambda _error: None)
        except HarnessError:
            return signs  # somebody else reads it, or it is not there: it cannot tell
        stack.callback(console.close)
        silent = ConsoleSilent(console)
        stack.callback(silent.close)
        signs.append(silent)
    return signs
