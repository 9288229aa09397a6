# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot check`, `power` and `watch`: the lab's gear and boards by hand. Each returns its exit code."""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from harness.boot.stages import STAGES
from harness.config import ExternalServer, LabConfig, load
from harness.errors import BootFailure, ConfigError, InfraError
from harness.lab.switching import Action, Switched, real_board, switch_board
from harness.run import Run

if TYPE_CHECKING:
    from harness.inspection.netboot.seen import Look


def check_lab(lab: Path, *, power: bool, as_json: bool, servers: bool = True) -> int:
    """Validate, look at this machine, then at the gear and the netboot servers; with `power`, cycle the boards' ports."""
    from harness.checks import format_table, run_checks  # noqa: PLC0415
    from harness.inspection import survey  # noqa: PLC0415
    from harness.inspection.cycling import cycle_boards  # noqa: PLC0415
    from harness.inspection.table import as_json as rows_as_json  # noqa: PLC0415
    from harness.inspection.table import print_rows  # noqa: PLC0415

    config = load(lab)
    checks = run_checks(config)
    if not as_json:
        print(f"{lab}: valid; lab {config.name}, boards {', '.join(config.boards)}\n\nThis machine")
        print(format_table(checks))
    gear = survey(config)
    if power:
        gear += cycle_boards(config, lambda line: print(line, file=sys.stderr))
    looks = _looks(config) if servers else []
    missing = [check for check in checks if check.ok is False]
    bad = [row for row in gear if not row.ok]
    if as_json:
        rows = [
            {key: getattr(check, key) for key in ("name", "ok", "found", "remedy", "needed_for")} for check in checks
        ]
        whole = {"lab": config.name, "ok": not missing and not bad and all(look.ok for look in looks)}
        whole |= {"checks": rows, "gear": rows_as_json(gear), "servers": [look.as_json() for look in looks]}
        print(json.dumps(whole, indent=2))
    elif gear:
        print("\nThe lab's gear")
        print_rows(gear, sys.stdout)
        print(f"{len(bad)} of {len(gear)} need somebody" if bad else "all of it is ready")
    if looks and not as_json:
        from harness.inspection.netboot.table import format_looks  # noqa: PLC0415

        print("\nThe netboot servers, as the boards' firmware would see them\n")
        print(format_looks(looks))
    if missing or bad:
        return InfraError.exit_code
    return 0 if all(look.ok for look in looks) else BootFailure.exit_code


def _looks(config: LabConfig) -> "list[Look]":
    """What the boards would get from the lab's external servers; an emulated lab has none, and needs not load what looks."""
    if not any(isinstance(server, ExternalServer) for server in config.servers.values()):
        return []
    from harness.inspection.netboot.look import look_at_servers  # noqa: PLC0415

    return look_at_servers(config, lambda line: print(line, file=sys.stderr))


def power_board(name: str, action: str, *, lab: Path, as_json: bool) -> int:
    """Switch a real board's port, or only ask it."""
    config = load(lab)
    wanted: Action | None = next((known for known in get_args(Action) if known == action), None)
    if wanted is None:
        raise ConfigError(
            f"a board's power cannot be asked for {action!r}", remedy=f"choose of: {', '.join(get_args(Action))}"
        )
    board = real_board(config, name)
    with tempfile.TemporaryDirectory(prefix="piboot-power-") as folder:
        done = switch_board(config, board, wanted, Path(folder))
    if as_json:
        print(json.dumps({**asdict(done), "action": action, "proved": done.proved}, indent=2))
    else:
        print(told(done, wanted))
    return 0


def told(done: Switched, action: Action) -> str:
    """For a person."""
    from harness.report.text import one_line  # noqa: PLC0415

    now = f"{done.after}{f' ({done.detail})' if done.detail else ''}"
    if done.after == "unknown":
        now += ": the gear does not tell its state"
    if action == "cycle" and done.loss is not None:
        proof = f"the board lost power: {done.loss.words}" if done.loss.proved else done.loss.words
        now = f"was {done.before}, off ({proof}), now {now}"
    elif action != "state":
        now = f"was {done.before}, now {now}"
    return one_line(f"{done.board}: {done.port}: {now}")


def watch_board(name: str, *, lab: Path, reports: Path, until: str, timeout: float, as_json: bool) -> int:
    """Follow the next boot that somebody else starts; its record and report are kept as those of any boot."""
    from harness.commands.exits import exit_code  # noqa: PLC0415
    from harness.lab import Lab  # noqa: PLC0415
    from harness.report.finish import finish  # noqa: PLC0415
    from harness.report.live import LiveView, summary  # noqa: PLC0415 - brings rich

    out = sys.stderr if as_json else sys.stdout
    if until not in STAGES:
        raise ConfigError(f"there is no stage {until!r}", remedy=f"choose of: {', '.join(STAGES)}")
    config = load(lab)
    nobody_else = ("nobody but a run of ours can start it", f"`piboot boot {name}` starts it and watches")
    board = real_board(config, name, nobody_else)
    if board.wire is None and board.console is None:
        what = f"{name} has neither `wire:` nor `console:`: nothing of its boot can be seen"
        raise ConfigError(what, place=str(lab), remedy="add one of them to the board")
    run = Run.create(reports, lab=config.name)
    try:
        with LiveView(out) as view, Lab(config, run, names=[name], viewer=view, looks_on=True) as opened:
            view.note(f"{name}: waits for its next boot")
            made = opened.board(name).watch(until, timeout)
    finally:
        finish(run)
    summary(made.record, made.folder, out, report=run.folder / "report.html")
    if as_json:
        print(made.record.model_dump_json(indent=2))
    return exit_code(made.record)
