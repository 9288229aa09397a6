# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot boot`, `replay` and `report`: a boot, live, and recorded ones again. Each returns its exit code."""

import sys
from collections.abc import Callable
from pathlib import Path

import harness
from harness.boot.events import Ended
from harness.boot.expect import Expectation
from harness.boot.judge import judge
from harness.boot.record import BootRecord
from harness.boot.stages import STAGES
from harness.clock import now
from harness.commands.exits import exit_code
from harness.config import LabConfig, load
from harness.config.adapting import adapted
from harness.errors import ConfigError, HarnessError, InfraError
from harness.lab import Lab
from harness.report.finish import finish
from harness.result import Boot
from harness.run import Run, journal, latest, write_json
from harness.run.replay import read_record, replay


def boot_once(
    board: str | None,
    *,
    lab: Path,
    reports: Path,
    speed: float | None,
    root: str | None,
    topology: str | None,
    image: Path | None = None,
    until: str,
    wait: float | None,
    as_json: bool,
) -> int:
    """One boot, live on stderr (with --json) or stdout; the report is written whatever happens."""
    from harness.report.live import LiveView, summary  # noqa: PLC0415 - brings rich

    out = sys.stderr if as_json else sys.stdout
    name = board or ""
    try:
        if until not in STAGES:
            raise ConfigError(f"there is no stage {until!r}", remedy=f"choose of: {', '.join(STAGES)}")
        config = adapted(load(lab), speed=speed, root=root, topology=topology, image=image)
        name = board or next(iter(config.boards))
        if name not in config.boards:
            raise ConfigError(
                f"there is no board {name!r}", place=str(lab), remedy=f"choose of: {', '.join(config.boards)}"
            )
        run = Run.create(reports, lab=config.name)
    except HarnessError as error:
        if as_json:
            print(record_of_error(error, name, "").model_dump_json(indent=2))
        raise
    try:
        with LiveView(out) as view:
            made = boot_in_run(config, run, name, until, view, view.note, wait)
    finally:
        finish(run)
    summary(made.record, made.folder, out, report=run.folder / "report.html")
    if as_json:
        print(made.record.model_dump_json(indent=2))
    if made.left is not None and made.passed:
        raise made.left
    return exit_code(made.record)


def boot_in_run(
    config: LabConfig,
    run: Run,
    name: str,
    until: str,
    view: object,
    progress: Callable[[str], None],
    wait: float | None = None,
) -> Boot:
    """Open the lab, boot, close; when the lab itself does not open, the record says so; when it cannot be left as its policy
    says, `left` of the boot does."""
    made: Boot | None = None
    try:
        with Lab(config, run, names=[name], viewer=view, progress=progress, wait=wait) as lab:  # type: ignore[arg-type]
            made = lab.board(name).boot(until)
    except (InfraError, ConfigError) as error:
        if made is None:
            made = _never_began(config, run, name, error)
        else:
            run.note(f"after the boot of {name}: {error.what}")
            made.left = error
    return made


def _never_began(config: LabConfig, run: Run, name: str, error: InfraError | ConfigError) -> Boot:
    """A boot that the lab did not get to, with its record."""
    folder = run.boot_folder(name)
    expectation = Expectation(board=name, model=config.boards[name].model, emulated=config.boards[name].emulated)
    write_json(folder / "expect.json", expectation.model_dump_json(indent=2))
    journal.append(folder / "harness.jsonl", ended_by(error))
    record = replay(folder)
    write_json(folder / "record.json", record.model_dump_json(indent=2))
    return Boot(record, folder, error)


def ended_by(error: HarnessError) -> Ended:
    reason = "config" if isinstance(error, ConfigError) else "infra"
    place = f" ({error.place})" if error.place else ""
    return Ended(t=now(), reason=reason, detail=error.what + place, remedy=error.remedy)


def record_of_error(error: HarnessError, board: str, model: str) -> BootRecord:
    """The record of a boot that never began."""
    return judge(Expectation(board=board, model=model), [ended_by(error)], harness_version=harness.__version__)


def replay_boot(folder: Path, *, reports: Path, write: bool, as_json: bool) -> int:
    """Judge a boot's files again, and compare with the record that was made then."""
    from harness.report.live import summary  # noqa: PLC0415

    found = folder if folder.is_dir() else reports / folder
    record = replay(found)
    before = found / "record.json"
    if as_json:
        print(record.model_dump_json(indent=2))
    else:
        summary(record, found, sys.stdout)
        if before.exists() and not write:
            same = read_record(before) == record
            print("the same as record.json" if same else "record.json says otherwise: --write replaces it")
    if write:
        write_json(before, record.model_dump_json(indent=2))
    return exit_code(record)


def report_again(folder: Path | None, *, reports: Path) -> int:
    """Boots without a record (the run was killed) are judged from what they left."""
    from harness.report.html import write_report  # noqa: PLC0415
    from harness.report.junit import write_junit  # noqa: PLC0415

    found = folder or latest(reports)
    if found is None or not found.is_dir():
        raise ConfigError(f"there is no run in {found or reports}", remedy="boot first: piboot boot")
    for expect in sorted(found.glob("*/expect.json")):
        boot = expect.parent
        if not (boot / "record.json").exists() and expect.stat().st_size:
            write_json(boot / "record.json", replay(boot).model_dump_json(indent=2))
    write_junit(found)
    print(write_report(found))
    return 0
