# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot eeprom`: the bootconf.txt that a lab wants of a board, and how it compares with what the board has."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.board import Board
from harness.board.bootconf import Row, otp_text, text_of, wanted
from harness.board.setup import compared
from harness.commands.exits import exit_code
from harness.config import BoardConfig, LabConfig, load
from harness.config.adapting import adapted
from harness.errors import ConfigError, InfraError
from harness.lab import Lab
from harness.models import MODELS
from harness.report.finish import finish
from harness.run import Run


def eeprom(
    board: str | None,
    *,
    lab: Path,
    reports: Path,
    compare: bool,
    running: bool,
    root: str | None,
    as_json: bool,
) -> int:
    """Prints the file, or the comparison; 0 when there is nothing to change."""
    config = adapted(load(lab), speed=None, root=root)
    name = board or next(iter(config.boards))
    if name not in config.boards:
        raise ConfigError(
            f"there is no board {name!r}", place=str(lab), remedy=f"choose of: {', '.join(config.boards)}"
        )
    if compare or running:
        return _compare(config, config.boards[name], reports=reports, running=running, as_json=as_json)
    return _print(config, config.boards[name], as_json=as_json)


def _print(lab: LabConfig, board: BoardConfig, *, as_json: bool) -> int:
    if MODELS[board.model].bootloader != "eeprom":
        print(json.dumps({"board": board.name, "text": otp_text(board)}) if as_json else otp_text(board), end="")
        return 0
    wants = wanted(lab, board)
    text = text_of(wants, board.name)
    if as_json:
        print(json.dumps({"board": board.name, "keys": {w.key: w.value for w in wants}, "text": text}, indent=2))
        return 0
    print(text, end="")
    print(
        f"\nOn {board.name}: sudo rpi-eeprom-config --apply bootconf.txt, then reboot it. "
        f"To see what it has: piboot eeprom {board.name} --compare",
        file=sys.stderr,
    )
    return 0


def _compare(lab: LabConfig, config: BoardConfig, *, reports: Path, running: bool, as_json: bool) -> int:
    from harness.report.live import LiveView, summary  # noqa: PLC0415 - brings rich

    run = Run.create(reports, lab=lab.name)
    rows: list[Row] = []
    try:
        with (
            LiveView(sys.stderr) as view,
            Lab(lab, run, names=[config.name], viewer=view, progress=view.note) as opened,
        ):
            board: Board = opened.board(config.name)
            if running:
                board.attach()
            else:
                boot = board.boot()
                if not boot.passed:
                    summary(boot.record, boot.folder, sys.stderr)
                    return exit_code(boot.record)
            rows = compared(lab, config, board.shell)
    finally:
        finish(run)
    good = all(row.good for row in rows)
    if as_json:
        keys = [{"key": r.key, "wanted": r.wanted, "there": r.there, "verdict": r.verdict} for r in rows]
        print(json.dumps({"board": config.name, "ok": good, "keys": keys}, indent=2))
    else:
        print(table(rows))
        if not good:
            print(f"\nto change it: piboot eeprom {config.name} > bootconf.txt, and see docs/boards.md")
    return 0 if good else InfraError.exit_code


def table(rows: Sequence[Row]) -> str:
    """Plain text, one line per key; what the board said is made safe to show."""
    from harness.config.mistakes import plain  # noqa: PLC0415

    words = {
        "same": "ok",
        "default": "ok (its default)",
        "differs": "DIFFERS",
        "missing": "MISSING",
        "only there": "only there",
    }
    cells = [("key", "wanted", "on the board", "")]
    for row in rows:
        where = f" under [{plain(row.section)}]" if row.section else ""
        cells.append((plain(row.key), plain(row.wanted or "-"), plain(row.there or "-"), words[row.verdict] + where))
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    return "\n".join(
        "  ".join([*(f"{c:{w}}" for c, w in zip(line, widths, strict=False)), line[3]]).rstrip() for line in cells
    )
