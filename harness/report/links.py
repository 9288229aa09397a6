# SPDX-License-Identifier: GPL-2.0-or-later
"""Links from the report to the files beside it: relative, quoted, never out of the run's folder."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from harness.boot.record import BootRecord
from harness.report.runs import Boot
from harness.report.text import one_line, size

_USUAL = {
    "record.json": "boot record",
    "capture.pcapng": "capture",
    "console.log": "console log",
    "console.times": "console times",
    "power.jsonl": "power",
    "expect.json": "expectation",
    "image.json": "the user's own image, and what was changed in it",
    "handover.json": "hand-over to the virtual machine",
    "harness.jsonl": "harness journal",
    "emulator.log": "emulator log",
}


@dataclass(frozen=True)
class Link:
    """href: relative to the run's folder, "" when there is no such file (then `note` says so)."""

    name: str
    href: str
    note: str = ""


def link(run: Path, path: Path, name: str) -> Link:
    """A link to `path`, below `run`."""
    real = Path(os.path.normpath(path))
    try:
        inside = real.relative_to(run)
        real.resolve().relative_to(run)
    except (ValueError, OSError, RuntimeError):
        return Link(name, "", f"{one_line(str(path), 120)} is outside the run's folder")
    try:
        octets = real.stat().st_size
    except (OSError, ValueError):
        return Link(name, "", f"{one_line(inside.as_posix(), 120)} is missing")
    return Link(name, quote(inside.as_posix()), size(octets) if real.is_file() else "")


def artefacts(run: Path, boot: Boot) -> list[Link]:
    """The files of a boot: the usual ones that are there, then what the record names besides."""
    record = boot.record
    expected = _expected(record)
    links, seen = [], set()
    for file, name in _USUAL.items():
        path = boot.folder / file
        seen.add(path)
        if path.exists() or file in expected:
            links.append(link(run, path, name))
    for name, target in (record.artefacts if record else {}).items():
        path = next((p for p in (boot.folder / target, run / target) if _exists(p)), boot.folder / target)
        if Path(os.path.normpath(path)) not in seen:
            links.append(link(run, path, name))
    return links


def _expected(record: BootRecord | None) -> set[str]:
    """Files that must be there by what the record says: their absence is worth a word."""
    if record is None:
        return set()
    found = {"capture.pcapng"} if record.capture else set()
    return found | ({"console.log"} if record.console else set())


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
