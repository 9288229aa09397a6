# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile power gear: an outlet with the manners of bad days, as a driver of its own and behind an emulator's socket."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from harness.errors import InfraError
from harness.power.port import Refused, Silent, State, Timing, switch

Manner = Literal["good", "slow", "lossy", "dead", "stuck", "flapping", "refusing", "garbage", "unknown"]

#: Manners with which a switching must succeed, and with which it must end in an InfraError.
ABLE: tuple[Manner, ...] = ("good", "slow", "lossy")
UNABLE: tuple[Manner, ...] = ("dead", "stuck", "flapping", "refusing", "garbage", "unknown")


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def timing(self, limit: float = 10.0) -> Timing:
        return Timing(limit=limit, monotonic=self.monotonic, sleep=self.sleep)


class Outlet:
    """The gear itself. slow: obeys after three looks; lossy: loses every other request; stuck: says yes, does nothing; flapping:
    says something else at each look; dead: no answer; refusing: says no; unknown: cannot tell its state.
    """

    def __init__(self, manner: Manner = "good", powered: bool = False) -> None:
        self.manner = manner
        self.powered = powered
        self.commands: list[str] = []
        self.requests = 0
        self._pending: tuple[bool, int] | None = None
        self._looks = 0

    def command(self, want: str) -> None:
        self._arrive()
        if self.manner == "refusing":
            raise Refused("denied, power budget")
        self.commands.append(want)
        if self.manner == "slow":
            self._pending = (want == "on", 3)
        elif self.manner not in {"stuck", "unknown"}:
            self.powered = want == "on"

    def look(self) -> State:
        self._arrive()
        self._looks += 1
        if self._pending is not None:
            target, left = self._pending
            self._pending = (target, left - 1) if left > 1 else None
            if left <= 1:
                self.powered = target
        if self.manner == "unknown":
            return "unknown"
        if self.manner == "flapping":
            return "on" if self._looks % 2 else "off"
        return "on" if self.powered else "off"

    def _arrive(self) -> None:
        self.requests += 1
        if self.manner == "dead" or (self.manner == "lossy" and self.requests % 2):
            raise Silent("no answer")
        if self.manner == "garbage":
            raise Silent("the answer is not to be understood: b'\\xff'")


class DoublePort:
    """The driver of an `Outlet`: what a driver has to be, and no more."""

    def __init__(self, outlet: Outlet, timing: Timing) -> None:
        self.outlet, self._timing = outlet, timing
        self._lock = threading.RLock()
        self.detail = ""
        self.identity = "double port 1"

    def on(self) -> None:
        self._switch("on")

    def off(self) -> None:
        self._switch("off")

    def state(self) -> State:
        with self._lock:
            try:
                return self.outlet.look()
            except (Silent, Refused) as error:
                raise InfraError(f"{self.identity}: {error}") from error

    def _switch(self, want: Literal["on", "off"]) -> None:
        with self._lock:
            switch(
                want, lambda: self.outlet.command(want), self.outlet.look, identity=self.identity, timing=self._timing
            )
            self.detail = f"read back {want}"


class FakeEmulator:
    """The control socket of an emulator around an `Outlet`; one thread, one request per connection or many."""

    def __init__(self, path: Path, outlet: Outlet) -> None:
        self.outlet = outlet
        self.requests: list[dict[str, Any]] = []
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                for line in stream:
                    answer = self._answer(json.loads(line))
                    if answer is None:
                        break
                    stream.write(answer)
                    stream.flush()

    def _answer(self, request: dict[str, Any]) -> bytes | None:
        self.requests.append(request)
        if self.outlet.manner == "garbage":
            return b"\xff\x00{]\n"
        try:
            if request["op"] == "state":
                body = {"ok": True, "state": self.outlet.look(), "phase": "bootloader", "error": ""}
            else:
                self.outlet.command(request["op"])
                body = {"ok": True, "state": request["op"], "t": 1.0}
        except Refused as error:
            body = {"ok": False, "error": str(error)}
        except Silent:
            return None
        return json.dumps(body).encode() + b"\n"


@contextmanager
def emulator(path: Path, outlet: Outlet) -> Iterator[FakeEmulator]:
    fake = FakeEmulator(path, outlet)
    try:
        yield fake
    finally:
        fake.close()
