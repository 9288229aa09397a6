# SPDX-License-Identifier: GPL-2.0-or-later
"""What all drivers share: the lock, the read-back loop, errors with the port's name. A driver adds `order` and `look`."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Literal

from harness.errors import InfraError
from harness.power.port import Refused, Silent, State, Timing, switch

Want = Literal["on", "off"]


class SwitchedPort(ABC):
    """A `PowerPort` out of two methods. identity, remedy: for errors; detail: set by `look`, the gear's own words."""

    remedy = "look at the gear: is this port wired, enabled and within its budget?"

    def __init__(self, identity: str, timing: Timing | None = None) -> None:
        self.identity = identity
        self.detail = ""
        self._timing = timing or Timing()
        self._lock = threading.RLock()

    @abstractmethod
    def order(self, want: Want) -> None:
        """Send the command. Silent: no sensible answer, will be asked again; Refused: the gear said no."""

    @abstractmethod
    def look(self) -> State:
        """Read the state back, in one exchange. Silent and Refused as `order`."""

    def on(self) -> None:
        """Power on, proven. InfraError."""
        self._switch("on")

    def off(self) -> None:
        """Power off, proven. InfraError."""
        self._switch("off")

    def state(self) -> State:
        """What the gear says now. InfraError: it cannot be asked."""
        with self._lock:
            try:
                return self.look()
            except (Refused, Silent) as error:
                raise InfraError(f"{self.identity} does not tell its state: {error}", remedy=self.remedy) from None

    def _switch(self, want: Want) -> None:
        with self._lock:
            switch(
                want,
                lambda: self.order(want),
                self.look,
                identity=self.identity,
                timing=self._timing,
                remedy=self.remedy,
                told=lambda: self.detail,
            )


def words(text: str | bytes, secrets: Iterable[str] = (), limit: int = 120) -> str:
    """Gear's words made safe to show: secrets masked, one line, control characters escaped, cut to `limit` characters."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    # The longest first: one secret may be the beginning of another.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "********")
    text = " ".join(text.split())
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
