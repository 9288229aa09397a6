# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot check --power`: every real board's port is cycled once, one after the other, and left as it was found."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.config import BoardConfig, LabConfig
from harness.inspection.seen import Seen, looked
from harness.lab.switching import switch_board


def cycle_boards(
    lab: LabConfig, progress: Callable[[str], None] = lambda _line: None, off_time: float | None = None
) -> list[Seen]:
    """A row for each real board. Never raises for what the gear does."""
    rows = []
    for board in lab.boards.values():
        if not board.emulated:
            progress(f"cycling the power of {board.name}")
            row = Seen("power", f"power cycle of {board.name}")
            rows.append(looked(row, partial(_cycle, lab, board, off_time)))
    return rows


def _cycle(lab: LabConfig, board: BoardConfig, off_time: float | None, row: Seen) -> Seen:
    with tempfile.TemporaryDirectory(prefix="piboot-check-") as name:
        done = switch_board(lab, board, "cycle", Path(name), off_time)
        if done.before == "off":
            switch_board(lab, board, "off", Path(name))
    loss = done.loss
    proof = "nothing was asked" if loss is None else f"lost power: {loss.words}" if loss.proved else loss.words
    left = "off" if done.before == "off" else done.after
    fix = "" if done.after != "unknown" else "add read_back: to have the state read back"
    return replace(
        row,
        gear=f"{row.gear}: {done.port}",
        reachable=True,
        rights=True,
        state=f"off, {proof}; on again, {done.detail or done.after}, after {done.seconds:.1f} s; left {left}, as it was found",
        fix=fix,
    )
