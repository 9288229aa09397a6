# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards between runs: taken with a lease, brought in order when the last run did not do so, and given back.

What a killed run leaves is a board in any power state. Whoever takes that board next brings it where `policy.after_run` says and
tells so: the run's own last will at once (`piboot lab release`), or the next run that opens the lab, or the one that waited.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness.boot.events import PowerEdge
from harness.config import LabConfig
from harness.config.files import open_regular
from harness.errors import HarnessError
from harness.lab.places import place_of, power_of
from harness.power.journal import FILE, parse_events
from harness.run import Run
from harness.sharing.holder import Holder
from harness.sharing.leases import Leases, key_of, locks_of
from harness.sharing.will import Will, release

if TYPE_CHECKING:
    from harness.labgrid.place import Place
    from harness.power.port import PowerPort
    from harness.sharing.lease import Lease

#: Octets of a killed run's power journal that are looked at.
_LARGEST = 1 << 20


class Lending:
    """The boards of one lab, as one run takes them. waiting: told (board, who has it); wait: seconds, policy.wait when None.

    will: whether a last will is left; `piboot lab release`, which is one, leaves none.
    """

    def __init__(
        self,
        config: LabConfig,
        run: Run | None,
        *,
        waiting: Callable[[str, str], None] = lambda _board, _text: None,
        what: str = "",
        wait: float | None = None,
        will: bool = True,
    ) -> None:
        self._config, self._run, self._waiting = config, run, waiting
        self._places: dict[str, Place | None] = {}
        self._ports: dict[str, PowerPort] = {}
        self._stubborn: set[str] = set()  # boards whose power was not brought where the policy says
        folder = str(run.folder.resolve()) if run is not None else ""
        self._locks = locks_of(config)
        self._keys = {name: key_of(config, board, folder) for name, board in config.boards.items()}
        self.leases = Leases(
            self._locks,
            self._keys,
            wait=config.policy.wait if wait is None else wait,
            what=what or (str(run.facts.get("command") or "") if run is not None else ""),
            run=folder,
        )
        self._will = Will(run.folder) if will and run is not None and config.path else None

    def take(self, name: str) -> list[str]:
        """Return when the board is ours and in order; gives what is worth a remark, nothing when it was ours before.

        InfraError: another run has it for longer than we may wait. Several boards may be taken by several threads.
        """
        began, waited = time.monotonic(), list[str]()

        def waiting(text: str) -> None:
            waited.append(text)
            self._waiting(name, text)

        lease = self.leases.take(name, waiting)
        if lease is None:
            return []
        try:
            remarks = self._begin(name, lease, max(0.0, self.leases.wait - (time.monotonic() - began)), waiting)
        except BaseException:
            # What it was left as, it still is.
            self.leases.give_back(name) if lease.previous is None else self.leases.leave(name)
            raise
        waits = [f"waited {time.monotonic() - began:.0f} s for {name}: {waited[0]}"] if waited else []
        return waits + remarks

    def claim(self, name: str) -> list[str]:
        """As `take`, and InfraError when the board was taken from us since it was lent."""
        self.leases.check(name)
        return self.take(name)

    def port(self, name: str) -> PowerPort:
        """The power port of a real board, opened once while the board is ours. ConfigError."""
        if name not in self._ports:
            self._ports[name] = power_of(self._config.boards[name], self.place(name))
        return self._ports[name]

    def place(self, name: str) -> Place | None:
        """The labgrid place that a board is; None for one that is none."""
        if name not in self._places:
            self._places[name] = place_of(self._config, self._config.boards[name])
        return self._places[name]

    def put_in_order(self, names: Iterable[str]) -> list[str]:
        """Bring the boards that killed runs have left where the policy says; those in use are left alone. What was done."""
        told = []
        for name in names:
            if self._config.boards[name].emulated or self._locks.look(self._keys[name])[0] != "left":
                continue
            waits, self.leases.wait = self.leases.wait, 0.0
            try:
                told += self.take(name)
                self.give_back(name, in_order=self.in_order(name))
            except (
                HarnessError
            ) as error:  # somebody else was quicker, say; a run of other boards has to begin all the same
                told.append(
                    f"{name} was left by a run that was killed, and could not be brought in order: {error.what}"
                )
            finally:
                self.leases.wait = waits
        return told

    def give_back(self, name: str, *, in_order: bool = True) -> None:
        """Another may have the board. in_order False: its power is not where the policy says; the next has to see to it.

        InfraError: its labgrid place cannot be released; the next will do that, too.
        """
        self._close(name)
        try:
            if (place := self.place(name)) is not None and self.leases.has(name):
                in_order, released = False, in_order
                place.release()
                in_order = released
        finally:
            if in_order:
                self.leases.give_back(name)
            else:
                self.leases.leave(name)
            if self._will is not None:
                self._will.disarm(name)

    def in_order(self, name: str) -> bool:
        """Whether the board's power could be brought where the policy says, if that was needed when we took it."""
        return name not in self._stubborn

    def close(self) -> None:
        for name in list(self._ports):
            self._close(name)
        self.leases.close()
        if self._will is not None:
            self._will.close()

    def _close(self, name: str) -> None:
        """Let go of a power port: a relay's holder, say, serves one run at a time."""
        if (close := getattr(self._ports.pop(name, None), "close", None)) is not None:
            close()

    def _begin(self, name: str, lease: Lease, wait: float, waiting: Callable[[str], None]) -> list[str]:
        """The board is ours on this host: acquire its labgrid place, too, and bring it in order. Remarks."""
        board, place = self._config.boards[name], self.place(name)
        if board.emulated:
            return (
                [] if lease.previous is None else [f"{_left(name, lease.previous)}; the emulated board ended with it"]
            )
        still_acquired = place.acquire(wait, waiting) if place is not None else False
        if place is not None:
            self.leases.update(name, place=place.name)
        if self._will is not None and (place is not None or self._config.policy.after_run == "off"):
            self._will.arm(name, release(name, self._config.path))
        if lease.previous is None and not still_acquired:
            return []
        if lease.previous is not None:
            left = _left(name, lease.previous)
        else:
            left = f"the labgrid place of {name} was still acquired by an earlier run on this host"
        note = f"{left}; {self._after_a_kill(name)}"
        if self._run is not None:
            self._run.note(note)
        return [note]

    def _after_a_kill(self, name: str) -> str:
        """Bring a board's power where the policy says; what was found and done."""
        self._stubborn.discard(name)
        try:
            port = self.port(name)
            found = port.state()
            if self._config.policy.after_run == "keep":
                return f"its power is {found} and was left so (policy.after_run: keep)"
            if found == "off":
                return "its power was off already"
            port.off()
        except HarnessError as error:
            self._stubborn.add(name)
            return f"its power could not be brought to the policy's state: {error.what}"
        return f"its power was {found} and was switched off (policy.after_run: off)"


def _left(name: str, previous: Holder) -> str:
    if previous.gone is not False:
        how = "was killed, or ended without giving it back"
    elif previous.stale:
        how = "gave no sign of life any more"
    else:
        how = "could not bring it in order"
    return f"{name} was taken over from {previous.words}, which {how}{_last_word(name, previous.run)}"


def last_edge(name: str, run: str) -> PowerEdge | None:
    """The last that a run's power journals say of a board; None when they say nothing."""
    last = None
    # The path was written by others: only regular files of this name are read, and not more than a journal's size.
    for path in [*Path(run).glob(f"{name}/{FILE}"), *Path(run).glob(f"{name}.*/{FILE}")] if run else ():
        with suppress(OSError, ValueError):
            file, _mode = open_regular(path)
            with file:
                edges = [event for event in parse_events(file.read(_LARGEST)) if isinstance(event, PowerEdge)]
            if edges and (last is None or edges[-1].t > last.t):
                last = edges[-1]
    return last


def _last_word(name: str, run: str) -> str:
    """As `last_edge`, for people: "; its last word on power: on, confirmed at 11:42:03"; "" for nothing."""
    if (edge := last_edge(name, run)) is None:
        return ""
    when = time.strftime("%H:%M:%S", time.localtime(edge.t))
    return f"; its last word on power: {'on' if edge.on else 'off'}, {edge.phase} at {when}"
