# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot lab`: all boards and who has them; `piboot lab release`: a board that a killed run has left."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.commands.status import BoardStatus, status
from harness.config import load
from harness.errors import ConfigError, HarnessError, InfraError
from harness.lab.lending import Lending
from harness.lab.places import place_of
from harness.report.text import clock_time, one_line
from harness.sharing.holder import BEAT, STALE, Holder
from harness.sharing.leases import key_of, locks_of


def show_lab(lab: Path, *, reports: Path, as_json: bool) -> int:
    """The table on stdout."""
    config = load(lab)
    boards = status(config, reports)
    if as_json:
        print(json.dumps({"lab": config.name, "boards": [_row(board) for board in boards]}, indent=2))
        return 0
    rows = [("BOARD", "MODEL", "IN USE BY", "POWER", "LAST BOOT")]
    rows += [(board.name, board.model, _use(board), _power(board), _last(board)) for board in boards]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for board in boards:
        if board.lease == "left":
            print(
                f"{board.name} was left by a run that was killed: the next run, or `piboot lab release {board.name}`, sees to it"
            )
    return 0


def release_board(name: str, *, lab: Path) -> int:
    """Take over a board whose run has died or gives no sign of life, bring its power where the policy says, and free it.

    InfraError: it belongs to a run that lives, or its power port does not obey.
    """
    config = load(lab)
    board = config.boards.get(name)
    if board is None:
        raise ConfigError(
            f"there is no board {name!r}", place=str(lab), remedy=f"choose of: {', '.join(config.boards)}"
        )
    state, holder = locks_of(config).look(key_of(config, board))
    place = place_of(config, board)
    if state == "free" and (place is None or place.show().acquired != place.client.me):
        print(f"{name} is free")
        return 0
    if state == "held" and (holder is None or not holder.stale):
        raise _refusal(name, holder)
    if state == "held":
        print(f"watching {name} for {2 * BEAT:g} s: its run may just have been suspended", file=sys.stderr)
    lending = Lending(config, None, what="piboot lab release", wait=3 * BEAT if state == "held" else 0.0, will=False)
    in_order = False
    try:
        for remark in lending.take(name):
            print(one_line(remark, 2000))
        in_order = lending.in_order(name)
    finally:
        lending.give_back(name, in_order=in_order)
        lending.close()
    if not in_order:
        return InfraError.exit_code
    print(f"{name} is free")
    return 0


def _refusal(name: str, holder: Holder | None) -> HarnessError:
    who = holder.words if holder is not None else "somebody who just took it"
    remedy = "end that run: it gives the board back in order"
    if holder is not None:
        here = f" (on this host: kill -INT {holder.pid})" if holder.gone is False else ""
        remedy = f"ask {holder.user} to end that run{here}: it gives the board back in order"
    return InfraError(f"{name} is in use by {who}: a board is not taken from a run that lives", remedy=remedy)


def _use(board: BoardStatus) -> str:
    if board.lease == "free":
        return f"{one_line(board.acquired, 60)} (labgrid place {board.place})" if board.acquired else "-"
    if board.holder is None:
        return "somebody"
    words = one_line(board.holder.brief, 160)
    if board.lease == "left":
        return f"(left by {words})"
    return (
        words
        if not board.holder.stale
        else f"{words}; no sign of life for {board.holder.silent:.0f} s (more than {STALE:g})"
    )


def _power(board: BoardStatus) -> str:
    return one_line(board.power if board.power in {"on", "off"} else f"{board.power or '?'} ({board.power_note})", 100)


def _last(board: BoardStatus) -> str:
    if board.last is None:
        return "-"
    return one_line(f"{board.last.words}, {clock_time(board.ended)[:16]}", 80)


def _row(board: BoardStatus) -> dict[str, Any]:
    record = board.last.record if board.last is not None else None
    holder = asdict(board.holder) | {"stale": board.holder.stale} if board.holder is not None else None
    last = None
    if record is not None and board.last is not None:
        last = {
            "verdict": record.verdict,
            "reason": record.reason,
            "ended": record.ended,
            "folder": str(board.last.folder),
        }
    return {
        "board": board.name,
        "model": board.model,
        "lease": board.lease,
        "holder": holder,
        "place": board.place,
        "acquired": board.acquired,
        "power": board.power,
        "power_note": board.power_note,
        "last": last,
    }
