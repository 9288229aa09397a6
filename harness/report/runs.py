# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a run's folder for the report: `run.json`, and every boot folder, whole or not.

A boot folder is a folder below the run's (up to three levels) that holds `record.json` or another file of a boot. What
cannot be read becomes a `Boot` without record, with the reason in `problem`: a killed run still gives a report.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.boot.record import SCHEMA, BootRecord
from harness.report import words
from harness.report.words import ORDER, Outcome

_BOOT_FILES = ("record.json", "capture.pcapng", "console.log", "expect.json", "power.jsonl")
_LARGEST_RECORD = 64_000_000  # octets; a boot's record is about 100 kB
_DEPTH = 3


@dataclass(frozen=True)
class Boot:
    """One boot folder. name: its path below the run's folder; problem: why `record` is None or not complete."""

    folder: Path
    name: str
    record: BootRecord | None
    problem: str = ""
    unfinished: bool = False
    model: str = ""

    @property
    def board(self) -> str:
        return self.record.board if self.record else self.name

    @property
    def outcome(self) -> Outcome:
        if self.record is None:
            return "unreadable"
        return "unfinished" if self.unfinished else words.outcome(self.record)

    @property
    def words(self) -> str:
        """The verdict for people."""
        return words.verdict(self.record) if self.record else "no readable record"

    @property
    def sentence(self) -> str:
        return words.sentence(self.record) if self.record and not self.unfinished else self.problem


@dataclass(frozen=True)
class Run:
    """One run. facts: what run.json says, "" or None where it says nothing; logs: other files, relative to `folder`."""

    folder: Path
    name: str
    boots: tuple[Boot, ...]
    started: float | None = None
    ended: float | None = None
    lab: str = ""
    command: str = ""
    harness_version: str = ""
    tests: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()

    def tally(self) -> list[tuple[Outcome, int]]:
        """How many boots came to each outcome, worst first, none left out but the zeros."""
        counts = [(outcome, sum(boot.outcome == outcome for boot in self.boots)) for outcome in ORDER]
        return [(outcome, number) for outcome, number in counts if number]


def load_run(folder: Path) -> Run:
    """The run in `folder`. OSError only when the folder itself cannot be listed."""
    folder = folder.resolve()
    facts, notes = _facts(folder / "run.json")
    boots: list[Boot] = []
    logs: list[str] = []
    for path in _folders(folder):
        names = sorted(entry.name for entry in _entries(path))
        if path != folder and any(name in names for name in _BOOT_FILES):
            boots.append(load_boot(path, path.relative_to(folder).as_posix()))
        else:
            logs += [(path / n).relative_to(folder).as_posix() for n in names if n.endswith((".log", ".conf"))]
    boots.sort(key=lambda boot: (ORDER.index(boot.outcome), boot.name))
    tests = facts.get("tests")
    return Run(
        folder=folder,
        name=str(facts.get("run") or folder.name),
        boots=tuple(boots),
        started=_number(facts.get("started")),
        ended=_number(facts.get("ended")),
        lab=str(facts.get("lab") or ""),
        command=_words(facts.get("command")),
        harness_version=str(facts.get("harness_version") or ""),
        tests={str(k): v for k, v in tests.items() if isinstance(v, int)} if isinstance(tests, dict) else {},
        notes=tuple(notes),
        logs=tuple(logs[:200]),
    )


def load_boot(folder: Path, name: str) -> Boot:
    """One boot folder; never raises for what is in it."""
    model = _expected_model(folder)
    try:
        data = _read_json(folder / "record.json")
        return Boot(folder, name, BootRecord.model_validate(data), model=model)
    except FileNotFoundError:
        problem = "There is no record.json: the run ended before this boot was judged."
    except ValidationError as error:
        return _partial(folder, name, model, data, error)
    except (OSError, ValueError, RecursionError) as error:
        problem = f"record.json cannot be read: {error}."
    return Boot(folder, name, None, problem, model=model)


def _partial(folder: Path, name: str, model: str, data: Any, error: ValidationError) -> Boot:
    """A record that lacks its end (the run was killed) is shown as far as it goes; any other is only named."""
    if not isinstance(data, dict):
        return Boot(folder, name, None, "record.json holds no boot record.", model=model)
    version = data.get("schema_version", SCHEMA)
    if version != SCHEMA:
        problem = f"record.json has schema version {version!r}; this harness reads version {SCHEMA}."
        return Boot(folder, name, None, problem, model=model)
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the whole"
    if first["type"] == "missing" and {"board", "model", "started"} <= data.keys():
        stages = [stage for stage in data.get("stages") or () if isinstance(stage, dict)]
        times = [
            t for stage in stages for t in (_number(stage.get("start")), _number(stage.get("end"))) if t is not None
        ]
        started = _number(data["started"]) or 0.0
        ended = max([started, *times])
        filled = {"ended": ended, "duration_s": round(ended - started, 6), "verdict": "unfinished"}
        try:
            record = BootRecord.model_validate(filled | {k: v for k, v in data.items() if v is not None})
        except ValidationError:
            pass
        else:
            problem = f"record.json has no {place}: the run ended before this boot was over."
            return Boot(folder, name, record, problem, unfinished=True, model=model)
    return Boot(
        folder, name, None, f"record.json is not a boot record of this harness: {place}: {first['msg']}.", model=model
    )


def _read_json(path: Path) -> Any:
    """The JSON text in `path`. ValueError says where it breaks off, or that it is too large to be what it should be."""
    if not path.is_file() and path.exists():
        raise ValueError("it is not a file")
    if (octets := path.stat().st_size) > _LARGEST_RECORD:
        raise ValueError(f"{octets:,} octets are too many for it")
    if not octets:
        raise ValueError("it is empty")

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number of JSON")

    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"it breaks off or is damaged at line {error.lineno}, column {error.colno} ({error.msg})"
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"octet {error.start:,} is not UTF-8") from None


def _facts(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        data = _read_json(path)
    except FileNotFoundError:
        return {}, ["There is no run.json: the run was started by hand, or was killed."]
    except (OSError, ValueError, RecursionError) as error:
        return {}, [f"run.json cannot be read: {error}"]
    if not isinstance(data, dict):
        return {}, ["run.json does not describe a run."]
    notes = data.get("notes")
    return data, [str(note) for note in notes] if isinstance(notes, list) else []


def _expected_model(folder: Path) -> str:
    try:
        return str(_read_json(folder / "expect.json").get("model") or "")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""


def _folders(top: Path) -> list[Path]:
    """`top` and the folders below it, sorted, links not followed."""
    found = [top]
    for path, folders, _ in os.walk(top):
        here = Path(path)
        folders.sort()
        found += [here / name for name in folders]
        if len(here.relative_to(top).parts) + 1 >= _DEPTH:
            folders.clear()
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e11 else None


def _words(value: Any) -> str:
    return " ".join(str(word) for word in value) if isinstance(value, list) else str(value or "")
