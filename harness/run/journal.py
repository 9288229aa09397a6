# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness' own observations of a boot (`harness.jsonl`): clock steps, remarks, and how the watch ended."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from harness.boot.events import Began, ClockStep, Ended, Noted, SoftReboot
from harness.errors import ConfigError
from harness.redaction import redacted
from harness.run.folder import disk_error

Own = Began | ClockStep | Noted | SoftReboot | Ended
_KINDS: dict[str, Callable[..., Own]] = {kind.__name__: kind for kind in (Began, ClockStep, Noted, SoftReboot, Ended)}


def append(path: Path, event: Own) -> None:
    """Add one line and flush it; InfraError when the disk does not take it."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(redacted(json.dumps({"event": type(event).__name__, **asdict(event)})) + "\n")
    except OSError as error:
        raise disk_error(error, path) from error


def read(path: Path) -> list[Own]:
    """All of them; a last line that was cut off is passed over, other damage is a ConfigError with file:line."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    events: list[Own] = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            fields = json.loads(text)
            events.append(_KINDS[fields.pop("event")](**fields))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if number == len(lines):
                break  # the writer was killed in the middle of it
            raise ConfigError(
                f"not an event of the harness: {error}",
                place=f"{path}:{number}",
                remedy="restore the file from the run",
            ) from error
    return events
