# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be said of a lab's boards without touching them: who has them, their power, how their last boot ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config import BoardConfig, LabConfig
from harness.config.labgrid import LabgridPower
from harness.config.power import GpioRelayPower
from harness.errors import HarnessError
from harness.lab.lending import last_edge
from harness.lab.places import place_of
from harness.power.opening import open_port
from harness.report.runs import Boot, load_boot
from harness.sharing.leases import key_of, locks_of

if TYPE_CHECKING:
    from harness.sharing.holder import Holder
    from harness.sharing.lease import State

#: Runs, newest first, that are looked through for the last boot of a board.
_RUNS = 500
#: Power ports asked at once.
_AT_ONCE = 16


@dataclass(frozen=True)
class BoardStatus:
    """One board. lease: free, held, or left by a run that was killed. power: "on", "off", "unknown", or "" when it was not asked;
    power_note: why, or who says so. last: its last boot in this reports folder. place: the labgrid place that it is, "" for
    none; acquired: who has that place, as labgrid says (HOST/USER), "" when nobody has or it is not known.
    """

    name: str
    model: str
    lease: State
    holder: Holder | None
    power: str
    power_note: str
    last: Boot | None
    place: str = ""
    acquired: str = ""

    @property
    def ended(self) -> float | None:
        """When its last boot ended, epoch seconds."""
        return self.last.record.ended if self.last is not None and self.last.record is not None else None


def status(lab: LabConfig, reports: Path) -> list[BoardStatus]:
    """All boards, in the order of lab.yaml. InfraError: the folder of the locks is not fit. Gear that does not answer is told
    in its row, after the time-outs of its driver.
    """
    locks = locks_of(lab)
    leases = {name: locks.look(key_of(lab, board)) for name, board in lab.boards.items()}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        powers = list(pool.map(lambda board: _power(lab, board, *leases[board.name]), lab.boards.values()))
    last = _last_boots(lab, reports)
    return [
        BoardStatus(name, board.model, *leases[name], power, note, last.get(name), board.place or "", acquired)
        for (name, board), (power, note, acquired) in zip(lab.boards.items(), powers, strict=True)
    ]


def _power(lab: LabConfig, board: BoardConfig, lease: State, holder: Holder | None) -> tuple[str, str, str]:
    """The power state, who says so, and who has acquired the labgrid place."""
    acquired = ""
    if (place := place_of(lab, board)) is not None:
        try:
            acquired = place.show().acquired
        except HarnessError as error:
            return "unknown", error.what, ""
    if place is not None and lease != "held" and isinstance(board.power, LabgridPower):
        return "", "labgrid tells it only to who has acquired the place", acquired
    return *_read_power(board, lease, holder), acquired


def _read_power(board: BoardConfig, lease: State, holder: Holder | None) -> tuple[str, str]:
    if lease == "held":
        # Its run switches it, and writes down what it did: asking the gear as well might come in between.
        edge = last_edge(board.name, holder.run) if holder is not None else None
        if edge is None:
            return "", "in use"
        return ("on" if edge.on else "off") if edge.phase == "confirmed" else "unknown", "its run says so"
    if board.emulated:
        return "off", "emulated"
    if isinstance(board.power, GpioRelayPower):
        return "", "not asked: that would take the relay's pin"
    try:
        port = open_port(board.power)
        try:
            return port.state(), port.identity
        finally:
            if (close := getattr(port, "close", None)) is not None:
                close()
    except HarnessError as error:
        return "unknown", error.what


def _last_boots(lab: LabConfig, reports: Path) -> dict[str, Boot]:
    """The newest boot of each board that was judged."""
    found: dict[str, Boot] = {}
    for run in _runs(lab.name, reports):
        for name in lab.boards:
            if name not in found and (boot := _last_of(run, name)) is not None:
                found[name] = boot
        if len(found) == len(lab.boards):
            break
    return found


def _last_of(run: Path, name: str) -> Boot | None:
    boots = [path.parent for pattern in (name, f"{name}.*") for path in run.glob(f"{pattern}/record.json")]
    for folder in sorted(boots, key=_number, reverse=True):
        boot = load_boot(folder, folder.name)
        if boot.record is not None and boot.record.board == name:
            return boot
    return None


def _number(folder: Path) -> int:
    suffix = folder.name.rpartition(".")[2]
    return int(suffix) if suffix.isdecimal() else 1


def _runs(lab: str, reports: Path) -> Iterator[Path]:
    """Runs of a lab, newest first."""
    dated = []
    for path in reports.glob("*/run.json"):
        try:
            dated.append((path.stat().st_mtime, path))
        except OSError:
            continue
    for _, path in sorted(dated, reverse=True)[:_RUNS]:
        try:
            facts: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(facts, dict) and facts.get("lab") == lab:
            yield path.parent
