# SPDX-License-Identifier: GPL-2.0-or-later
"""The seam of all power ports, and what every driver needs: switch and prove it, cycle with a counted off-time.

Invariants of a `PowerPort`, kept by every driver (tests/power/test_contract.py):

- `on` returns only when the port itself says that power is on, `off` only when it says off: at two looks in a row, so that
  a port that flaps is not believed. Otherwise InfraError, within the port's time limit.
- Both are idempotent: switching to the state that is there already changes nothing and succeeds.
- `state` is what the port says now: "unknown" when it cannot say. It raises InfraError when the port cannot be reached.
- All may be called from several threads; one call does not begin in the middle of another.
- No call lasts longer than the driver's `limit` (seconds) by more than one exchange with the port.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from harness.errors import InfraError
from harness.power.evidence import Evidence, Loss, power_loss

State = Literal["on", "off", "unknown"]


class PowerPort(Protocol):
    """See the module's docstring. detail: what the port said at its last read-back, for the record, may be empty."""

    @property
    def identity(self) -> str:
        """Which port of which gear, for people: "poe switch-1 port 7"."""
        ...

    @property
    def detail(self) -> str: ...

    def on(self) -> None: ...

    def off(self) -> None: ...

    def state(self) -> State: ...


class Refused(Exception):  # noqa: N818 - what the gear answered
    """The gear understood and said no: asking again is useless."""


class Silent(Exception):  # noqa: N818 - what the gear did
    """The gear gave no (sensible) answer this time: asking again may help."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. limit: for one on() or off(); poll: between two looks; settle: between the two looks that must agree."""

    limit: float = 10.0
    poll: float = 0.1
    settle: float = 0.05
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def switch(
    want: Literal["on", "off"],
    ask: Callable[[], None],
    look: Callable[[], State],
    *,
    identity: str,
    timing: Timing,
    remedy: str = "look at the gear: is this port wired, enabled and within its budget?",
    told: Callable[[], str] = str,
) -> None:
    """Bring a port to `want` and prove it: the one loop that all drivers use.

    ask: send the command; look: read the state back. Both may raise `Silent` (asked again until the limit) or `Refused`
    (InfraError at once). told: what the last look saw in the gear's own words, for the error; may be empty.
    """
    deadline = timing.monotonic() + timing.limit
    last = "nothing was read back"
    asked = to_ask = False
    agreed = 0
    while True:
        # A step that is lost on the way is taken again by itself: a lost answer says nothing against the steps before it.
        try:
            if to_ask:
                ask()
                asked, to_ask = True, False
            seen = look()
            last = f"it said {seen!r}" + (f" ({words})" if (words := told()) else "")
            agreed = agreed + 1 if seen == want else 0
            if agreed == 2:
                return
            if not agreed and not asked:
                to_ask = True  # only now: a port that is there already is left alone
                continue
        except Refused as error:
            raise InfraError(f"{identity} refused to switch {want}: {error}", remedy=remedy) from error
        except Silent as error:
            last = str(error)
        if timing.monotonic() >= deadline:
            what = f"{identity} was told to switch {want} and did not within {timing.limit:g} s; last: {last}"
            raise InfraError(what, remedy=remedy)
        timing.sleep(timing.settle if agreed else timing.poll)


def cycle(
    port: PowerPort,
    off_time: float,
    *,
    evidence: Sequence[Evidence] = (),
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Loss:
    """Off, `off_time` seconds counted from the confirmed off, on; returns what is known of the board's loss of power.

    evidence: asked just before power-on. InfraError: the port does not do it; or power came back by itself meanwhile, or
    something says that the board still lives (it was then not without power, and what it does next proves nothing). In
    these two cases the port is left as it is.
    """
    port.off()
    since = monotonic()
    while (left := since + off_time - monotonic()) > 0:
        sleep(left)
    loss = checked_loss(port, off_time, evidence)
    port.on()
    return loss


def checked_loss(port: PowerPort, off_time: float, evidence: Sequence[Evidence]) -> Loss:
    """What is known of a board's loss of power, after its port was off for `off_time` seconds. InfraError as in `cycle`."""
    if (state := port.state()) == "on":
        raise InfraError(
            f"{port.identity} is {state} again before it was told to: the board was not without power for {off_time:g} s",
            remedy="look whether somebody else switches this port (another lab, the switch's own schedule)",
        )
    loss = power_loss(evidence)
    if loss.proved is False:
        raise InfraError(
            f"{port.identity} says off, but the board did not lose power: {loss.words}",
            remedy="is this the board's port? is it fed by anything else (USB, HDMI, a second supply, a relay that sticks)?",
        )
    return loss
