# SPDX-License-Identifier: GPL-2.0-or-later
"""Judge a boot from the files of its folder. A live boot's record is made here too, so that a replay cannot differ from it.

Files: expect.json (what the judge was told), power.jsonl, capture.pcapng, clock.jsonl (of the host that captured), console.log +
console.times, harness.jsonl, handover.json (the emulated machine). Each may be absent: then there is no evidence of that kind.
"""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import harness
from harness.boot.events import Ended, Event
from harness.boot.expect import Expectation
from harness.boot.judge import judge
from harness.boot.record import BootRecord, ConsoleInfo
from harness.errors import ConfigError
from harness.run import journal

ARTEFACTS = {
    "capture": "capture.pcapng",
    "clock": "clock.jsonl",
    "console": "console.log",
    "console_times": "console.times",
    "power": "power.jsonl",
    "harness": "harness.jsonl",
    "expect": "expect.json",
    "handover": "handover.json",
    "emulator": "emulator.log",
}


def replay(folder: Path) -> BootRecord:
    """The record of the boot whose files lie in `folder`. ConfigError when they cannot be read."""
    expectation = read_expectation(folder)
    own = journal.read(folder / "harness.jsonl")
    ended = next((event for event in own if isinstance(event, Ended)), None)
    events: list[Event] = [*_power(folder), *own]
    capture = None
    machine = _machine(folder)
    if _has(folder / "capture.pcapng"):
        from harness.wire.hostclock import clock_of  # noqa: PLC0415
        from harness.wire.replay import replay as replay_wire  # noqa: PLC0415 - brings scapy

        wire = replay_wire(folder / "capture.pcapng", _macs(expectation, machine))
        events += wire.events
        capture = wire.capture.model_copy(update={"clock": clock_of(folder)})
    console = None
    if (folder / "console.log").exists():
        from harness.console.replay import milestones_of  # noqa: PLC0415

        told, whole = milestones_of(folder / "console.log", folder / "console.times")
        events += told
        console = _at_the_end(whole, folder, ended)
    return judge(
        expectation,
        events,
        capture=capture,
        console=console,
        machine=machine,
        harness_version=harness.__version__,
        artefacts={name: file for name, file in ARTEFACTS.items() if (folder / file).exists()},
    )


def read_expectation(folder: Path) -> Expectation:
    path = folder / "expect.json"
    if not folder.is_dir():
        raise ConfigError("there is no such boot", place=str(folder), remedy="name a folder reports/RUN/BOARD")
    try:
        return Expectation.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            "this is not the folder of a boot: expect.json is missing",
            place=str(folder),
            remedy="name reports/RUN/BOARD",
        ) from None
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0] if not isinstance(error, ValidationError) else error.errors()[0]["msg"]
        raise ConfigError(
            f"expect.json cannot be read: {first}", place=str(path), remedy="restore the file from the run"
        ) from error


def read_record(path: Path) -> BootRecord:
    """A record as it was written. ConfigError for a damaged one or one of a newer schema."""
    try:
        return BootRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        where = ".".join(str(part) for part in reason["loc"])
        raise ConfigError(
            f"not a boot record that this version reads: {where + ': ' if where else ''}{reason['msg']}",
            place=str(path),
            remedy="judge the boot's files again with `piboot replay`",
        ) from error


def _has(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _power(folder: Path) -> list[Event]:
    path = folder / "power.jsonl"
    if not path.exists():
        return []
    from harness.power.journal import events_of  # noqa: PLC0415

    return list(events_of(path))


def _at_the_end(whole: ConsoleInfo, folder: Path, ended: Ended | None) -> ConsoleInfo:
    """The log goes on growing after the boot (the tests' shell writes there): what counts is what it held at the end."""
    from harness.console.files import Chunk, read_back  # noqa: PLC0415
    from harness.console.garbage import Garbage  # noqa: PLC0415

    if ended is None:
        return whole
    size = lines = 0
    garbage = Garbage()
    for item in read_back(folder / "console.log", folder / "console.times"):
        if item.t > ended.t:
            break
        if isinstance(item, Chunk):
            garbage.feed(item.data)
            size, lines = item.offset + len(item.data), lines + item.data.count(b"\n")
    rates = tuple(rate for rate in whole.rates if rate.t <= ended.t)
    return whole.model_copy(update={"bytes": size, "lines": lines, "binary": garbage.octets, "rates": rates})


def _macs(expectation: Expectation, machine: dict[str, Any] | None) -> set[str] | None:
    """The board's, and that of the system in the virtual machine that stands for it; None for every client."""
    if not expectation.mac:
        return None
    other = str((machine or {}).get("mac", "")).lower()
    return {expectation.mac, other} if re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", other) else {expectation.mac}


def _machine(folder: Path) -> dict[str, Any] | None:
    path = folder / "handover.json"
    if not path.exists():
        return None
    try:
        machine = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"error": "handover.json cannot be read"}
    return machine if isinstance(machine, dict) else {"error": "handover.json holds no object"}
