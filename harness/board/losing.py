# SPDX-License-Identifier: GPL-2.0-or-later
"""Taking a board's power away before a boot, and what then proves that the board, not only its port, lost it.

A sign is looked at while the board should have power, and again at the end of the off-time: a link that was down all the time,
or a console that never answered, proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.errors import InfraError
from harness.power.evidence import Evidence, Loss
from harness.power.port import checked_loss

if TYPE_CHECKING:
    from harness.console.log import ConsoleLog
    from harness.power.journal import JournaledPort

#: Seconds of the off-time in which what the board had said before still arrives: console servers gather octets.
_ON_ITS_WAY = 0.5

#: Seconds that a board is given to answer on its console.
_ANSWER = 1.0

#: Printable characters that make an answer: a line without a driver may give one octet of noise.
_TALK = 3


class Sign(Protocol):
    """Something that shows whether a board lives."""

    @property
    def name(self) -> str:
        """As the words of a proof: "link down"."""

    def alive(self) -> bool:
        """Whether it shows now that the board lives; only then can it show later that it does not."""

    def mark(self) -> None:
        """The port is off, and what was on its way has arrived: what is seen from now on comes from a living board."""

    def lost(self) -> bool | None:
        """At the end of the off-time: True, the board has lost its power; False, it lives; None, this sign cannot tell."""


class LinkDown:
    """The board's cable, where it ends in a port of its own. carrier: None when it cannot be told."""

    name = "link down"

    def __init__(self, carrier: Callable[[], bool | None]) -> None:
        self._carrier = carrier
        self._was_up = False

    def alive(self) -> bool:
        self._was_up = self._carrier() is True
        return self._was_up

    def mark(self) -> None:
        pass

    def lost(self) -> bool | None:
        up = self._carrier()
        if up is None or not (up or self._was_up):
            return None
        return not up


class ClassGone:
    """A PoE port that delivered, and delivers no more: the powered device's class is gone with it."""

    name = "PoE class gone"

    def __init__(self, delivers: Callable[[], bool | None]) -> None:
        self._delivers = delivers

    def alive(self) -> bool:
        return self._delivers() is True

    def mark(self) -> None:
        pass

    def lost(self) -> bool | None:
        delivers = self._delivers()
        return None if delivers is None else not delivers


class ConsoleSilent:
    """The board's console. poke: what is typed to get an answer: a character that is echoed and does nothing; a line's end would
    start something in a bootloader. What it says unasked after `mark` counts, too.
    """

    name = "console silent"

    def __init__(self, console: ConsoleLog, poke: bytes = b".", answer: float = _ANSWER) -> None:
        self._console, self._poke, self._answer = console, poke, answer
        self._was_alive = False
        self._tap = console.tap()

    def alive(self) -> bool:
        with suppress(InfraError):  # a line that is lost answers nothing; its gap is told elsewhere
            self._was_alive = self._answers()
        return self._was_alive

    def mark(self) -> None:
        self._hear(0.0)

    def lost(self) -> bool | None:
        if _talk(self._hear(0.0)):
            return False
        return None if not self._was_alive else not self._answers()

    def close(self) -> None:
        self._console.untap(self._tap)

    def _answers(self) -> bool:
        self._hear(0.0)
        self._console.write(self._poke)
        heard = self._hear(self._answer)
        return self._answered(heard)

    def _hear(self, seconds: float) -> bytes:
        """What comes within `seconds`, and what is there already; ends once it makes an answer."""
        deadline = time.monotonic() + seconds
        heard = b""
        while data := self._tap.get(max(0.0, deadline - time.monotonic())):
            heard += data
            if seconds and self._answered(heard):
                break
        return heard

    def _answered(self, heard: bytes) -> bool:
        echo = self._poke.strip()  # a line's end is answered by a prompt
        return _talk(heard) or (echo != b"" and echo in heard)


def _talk(heard: bytes) -> bool:
    return sum(0x20 <= octet < 0x7F for octet in heard) >= _TALK


def take_power(power: JournaledPort, off_time: float, signs: Sequence[Sign]) -> Loss:
    """Off, proven, for `off_time` seconds counted from the port's confirmation; on the journal stands how the loss was proven.

    InfraError: the port does not do it, comes back by itself, or a sign says that the board lives on. It is left off then.
    """
    # One that can prove it is enough, and asking a console takes its time; all may say that the board lives on.
    for sign in signs:
        if sign.alive():
            break
    power.off()
    since = time.monotonic()
    wait(since, min(_ON_ITS_WAY, off_time))
    for sign in signs:
        sign.mark()
    wait(since, off_time)
    loss = checked_loss(power, off_time, [Evidence(sign.name, sign.lost) for sign in signs])
    power.journal.loss(loss)
    return loss


def wait(since: float, seconds: float) -> None:
    """Until `seconds` after `since` (monotonic)."""
    while (left := since + seconds - time.monotonic()) > 0:
        time.sleep(left)


def local_carrier(interface: str) -> bool | None:
    """Whether an interface of this host has a link; None when it is not there or is down itself."""
    try:
        return Path(f"/sys/class/net/{interface}/carrier").read_text(encoding="ascii").strip() == "1"
    except (OSError, ValueError):  # of an interface that is down the kernel answers EINVAL
        return None
