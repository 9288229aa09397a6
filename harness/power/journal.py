# SPDX-License-Identifier: GPL-2.0-or-later
"""What was asked of a power port and what it confirmed, as events and as `power.jsonl`, written as it happens."""

import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from harness import clock
from harness.boot.events import PowerEdge, PowerLoss
from harness.errors import ConfigError, InfraError
from harness.power.evidence import Evidence, Loss
from harness.power.port import PowerPort, State, cycle
from harness.redaction import redacted

FILE = "power.jsonl"


class PowerJournal:
    """Appends edges to `folder`/power.jsonl: {"t": epoch seconds, "on": bool, "phase": "asked"|"confirmed", "detail": str}."""

    def __init__(self, folder: Path, on_edge: Callable[[PowerEdge], None] = lambda _edge: None) -> None:
        self.path = folder / FILE
        self._on_edge = on_edge
        self._lock = threading.Lock()

    def edge(self, on: bool, phase: Literal["asked", "confirmed"], detail: str = "") -> PowerEdge:
        """Write an edge that happens now. InfraError: the disk is full or the folder is gone."""
        edge = PowerEdge(clock.now(), on, phase, detail)
        self._write({"t": edge.t, "on": on, "phase": phase, "detail": detail})
        self._on_edge(edge)
        return edge

    def loss(self, loss: Loss) -> None:
        """Write what is known of the board's loss of power: {"t", "phase": "loss", "proved": bool or null, "detail"}; no edge."""
        self._write({"t": clock.now(), "phase": "loss", "proved": loss.proved, "detail": loss.words})

    def _write(self, row: dict[str, object]) -> None:
        line = redacted(json.dumps(row)) + "\n"
        try:
            with self._lock:
                fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
                try:
                    os.write(fd, line.encode())
                finally:
                    os.close(fd)
        except OSError as error:
            raise InfraError(
                f"the power journal cannot be written: {error.strerror or error}",
                place=str(self.path),
                remedy="make room on this disk, or give another folder with --reports",
            ) from error


class JournaledPort:
    """A power port whose every switching is told: asked before it, confirmed after the read-back."""

    def __init__(self, port: PowerPort, journal: PowerJournal) -> None:
        self.port = port
        self.journal = journal

    @property
    def identity(self) -> str:
        return self.port.identity

    @property
    def detail(self) -> str:
        return self.port.detail

    def on(self) -> None:
        self.journal.edge(True, "asked", self.identity)
        self.port.on()
        self.journal.edge(True, "confirmed", self.detail)

    def off(self) -> None:
        self.journal.edge(False, "asked", self.identity)
        self.port.off()
        self.journal.edge(False, "confirmed", self.detail)

    def state(self) -> State:
        return self.port.state()

    def cycle(self, off_time: float, evidence: Sequence[Evidence] = ()) -> Loss:
        """As `port.cycle`, with the loss of power on the journal."""
        loss = cycle(self, off_time, evidence=evidence)
        self.journal.loss(loss)
        return loss


def edges_of(path: Path) -> list[PowerEdge]:
    """The edges in a power.jsonl, in order. ConfigError: it cannot be read."""
    return [event for event in events_of(path) if isinstance(event, PowerEdge)]


def events_of(path: Path) -> list[PowerEdge | PowerLoss]:
    """All of a power.jsonl, in order; torn or senseless lines are passed over. ConfigError: it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the power journal cannot be read: {error.strerror or error}", place=str(path)) from error
    return parse_events(data)


def parse_events(data: bytes) -> list[PowerEdge | PowerLoss]:
    """As `events_of`, of its content."""
    events: list[PowerEdge | PowerLoss] = []
    for line in data.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        match row:
            case {"t": float() | int() as t, "on": bool(on), "phase": "asked" | "confirmed" as phase, **rest}:
                events.append(PowerEdge(float(t), on, phase, str(rest.get("detail", ""))))
            case {"t": float() | int() as t, "phase": "loss", "proved": bool() | None as proved, **rest}:
                events.append(PowerLoss(float(t), proved, str(rest.get("detail", ""))))
    return events
