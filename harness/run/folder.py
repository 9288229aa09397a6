# SPDX-License-Identifier: GPL-2.0-or-later
"""A run: one folder `reports/<run>/` with a folder per boot, written as things happen, so that a killed run can be read."""

import fcntl
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import harness
from harness.clock import now
from harness.errors import ConfigError, InfraError
from harness.folders import new_folder
from harness.redaction import redacted


def write_json(path: Path, content: Any) -> None:
    """Write whole or not at all: to a file beside it, then renamed. InfraError when the disk does not take it."""
    text = content if isinstance(content, str) else json.dumps(content, indent=2, default=str)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """As `write_json`, for text."""
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_text(redacted(text), encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: Path) -> InfraError:
    """What a user should read when a file under reports/ cannot be written."""
    return InfraError(
        f"cannot write {path.name}: {error.strerror or error}",
        place=str(path.parent),
        remedy="free some space there, or choose another folder with --reports",
    )


class Run:
    """The folder of one run. `facts` stand in run.json; names of boots are unique within the run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = {}

    @classmethod
    def create(cls, reports: Path, *, lab: str, name: str | None = None) -> "Run":
        """A new folder below `reports`, named after the time: 2026-11-20_201500, with -2, -3 ... when taken."""
        stem = name or timestamp()
        if "/" in stem or stem.startswith("."):
            raise ConfigError(f"{stem!r} cannot be the name of a run", remedy="use letters, digits, '-' and '_'")
        try:
            reports.mkdir(parents=True, exist_ok=True)
            folder = new_folder(reports, stem)
        except OSError as error:
            raise disk_error(error, reports / stem) from error
        run = cls(folder)
        run._begin(lab)
        return run

    @classmethod
    def join(cls, folder: Path, *, lab: str) -> "Run":
        """A run that several processes write into (pytest-xdist's workers); the first of them makes it."""
        run = cls(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / ".run.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not (folder / "run.json").exists():
                    run._begin(lab)
        except OSError as error:
            raise disk_error(error, folder) from error
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """A run that is there already (another process made it, or it is to be read again)."""
        run = cls(folder)
        try:
            run.facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            run.facts = {"run": folder.name}
        except (OSError, ValueError) as error:
            raise ConfigError(f"run.json cannot be read: {error}", place=str(folder)) from error
        return run

    def _begin(self, lab: str) -> None:
        self.save(
            run=self.folder.name,
            started=now(),
            ended=None,
            lab=lab,
            command=command(),
            harness_version=harness.__version__,
            notes=[],
        )

    def save(self, **facts: Any) -> None:
        self.facts.update(facts)
        write_json(self.folder / "run.json", self.facts)

    def note(self, text: str) -> None:
        """Add a remark. Each process keeps its own file, so that parallel workers do not overwrite each other's."""
        path = self.folder / f"notes-{os.getpid()}.txt"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(text.replace("\n", " ") + "\n")
        except OSError as error:
            raise disk_error(error, path) from error

    def notes(self) -> list[str]:
        """The remarks of all processes."""
        files = sorted(self.folder.glob("notes-*.txt"))
        return [line for path in files for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]

    def boot_folder(self, board: str) -> Path:
        """A new folder for a boot of `board`: <board>, then <board>.2, <board>.3 ...

        The first may exist already (its emulator's log is there), but holds no boot yet.
        """
        number = 1
        while True:
            folder = self.folder / (board if number == 1 else f"{board}.{number}")
            try:
                folder.mkdir(parents=True, exist_ok=True)
                # O_EXCL makes it ours, should two processes boot boards of the same name into one run.
                os.close(os.open(folder / "expect.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            except FileExistsError:
                number += 1
                continue
            except OSError as error:
                raise disk_error(error, folder) from error
            return folder


def command() -> str:
    """What was typed to start this process."""
    return " ".join([_program(), *sys.argv[1:]])


def _program() -> str:
    """This program's name as a person types it: `python -m pytest` is pytest."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name


def timestamp() -> str:
    """The name of a run that starts now: 2026-11-20_201500, local time."""
    return datetime.now().astimezone().strftime("%Y-%m-%d_%H%M%S")


def latest(reports: Path) -> Path | None:
    """The newest run below `reports`, by its name's time."""
    runs = sorted((path.parent for path in reports.glob("*/run.json")), key=lambda path: path.stat().st_mtime)
    return runs[-1] if runs else None
