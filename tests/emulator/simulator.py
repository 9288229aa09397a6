# SPDX-License-Identifier: GPL-2.0-or-later
"""A world for a board's program: a clock that jumps, a wire with a scripted server, and everything that happened."""

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from harness.emulator import bootloader, eeprom, releases
from harness.emulator.dhcp import Identity
from harness.emulator.effects import Flush, Halt, HandOver, Link, Print, Recv, Send, Sleep, Steps, Stream
from harness.emulator.machine import Machine
from harness.emulator.payload import Payload
from harness.models import PI4, Model

#: A board and the golden option 97 of it: Pi 4B rev 1.4 of a public dnsmasq log (pipxe).
MAC = bytes.fromhex("e45f010902f7")
SERIAL = 0x91CDF03D
REVISION = 0xD03114

#: Gets (time, frame) of what the board sends; gives (delay in seconds, frame) answers.
Wire = Callable[[float, bytes], Iterable[tuple[float, bytes]]]

#: More effects than any boot of these tests has: beyond it, the program is in an endless loop.
MOST_EFFECTS = 400_000


class EndlessError(AssertionError):
    """The program goes on and on."""


@dataclass
class World:
    """Everything that a program did. sent: (time, frame); ended: why the run stopped: "halt", "handover" or "time"."""

    wire: Wire
    link: bool = True
    now: float = 1000.0
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    uart: bytearray = field(default_factory=bytearray)
    payload: Payload | None = None
    halted: str = ""
    ended: str = ""
    answers: list[str] = field(default_factory=list)
    links: list[tuple[float, bool]] = field(default_factory=list)
    _queue: list[tuple[float, int, bytes]] = field(default_factory=list)
    _number: int = 0

    @property
    def text(self) -> str:
        return self.uart.decode("utf-8", "replace")

    @property
    def frames(self) -> list[bytes]:
        return [frame for _time, frame in self.sent]

    def put(self, when: float, frame: bytes) -> None:
        """A frame that arrives at that time, asked for or not."""
        self._number += 1
        heapq.heappush(self._queue, (when, self._number, frame))

    def run(self, program: Steps[None], *, seconds: float = 600.0) -> "World":  # noqa: PLR0912 - one branch per effect
        """Until the program halts, hands over without a further answer, or the time is over."""
        until = self.now + seconds
        answer: object = None
        for _ in range(MOST_EFFECTS):
            if self.now > until:
                self.ended = "time"
                return self
            try:
                effect = program.send(answer)
            except StopIteration:
                self.ended = "done"
                return self
            answer = None
            if isinstance(effect, Print):
                self.uart += effect.text
            elif isinstance(effect, Send):
                self._send(effect.frame)
            elif isinstance(effect, Recv):
                answer = self._next(effect.deadline)
            elif isinstance(effect, Stream):
                self._stream(effect)
            elif isinstance(effect, Sleep):
                self.now = max(self.now, effect.until)
            elif isinstance(effect, Link):
                self.links.append((self.now, effect.up))
                if effect.up and not self.link:
                    self.now = effect.deadline
                answer = effect.up and self.link
            elif isinstance(effect, Flush):
                while self._queue and self._queue[0][0] <= self.now:
                    heapq.heappop(self._queue)
            elif isinstance(effect, Halt):
                self.halted, self.ended = effect.why, "halt"
                return self
            elif isinstance(effect, HandOver):
                self.payload = effect.payload
                if not self.answers:
                    self.ended = "handover"
                    return self
                answer = self.answers.pop(0)
        raise EndlessError(f"more than {MOST_EFFECTS} effects; last lines: {self.text[-500:]}")

    def _send(self, frame: bytes | bytearray) -> None:
        self.sent.append((self.now, bytes(frame)))
        for delay, answer in self.wire(self.now, bytes(frame)):
            self.put(self.now + delay, answer)

    def _next(self, deadline: float) -> bytes | None:
        if self._queue and self._queue[0][0] < deadline and self.now < deadline:
            when, _number, frame = heapq.heappop(self._queue)
            self.now = max(self.now, when)
            return frame
        self.now = max(self.now, deadline)
        return None

    def _stream(self, effect: Stream) -> None:
        receiver = effect.receiver
        for _ in range(MOST_EFFECTS):
            if receiver.done:
                return
            frame = self._next(receiver.deadline)
            reply = receiver.on_timer(self.now) if frame is None else receiver.on_frame(frame)
            if reply is not None:
                self._send(reply)
        raise EndlessError("the transfer never ends")


def machine(
    world: World,
    *,
    date: str = "",
    speed: float = 1.0,
    seed: int = 1,
    keys: dict[str, object] | None = None,
    model: Model = PI4,
    revision: int = REVISION,
) -> Machine:
    """A Pi 4, or another model, in that world."""
    release = releases.release(date, model.soc)
    config = eeprom.known_to(release, eeprom.read(keys or {}))
    fourcc = None if config.option97 is None else config.option97 or release.fourcc
    identity = Identity(config.mac_address or MAC, SERIAL, revision, fourcc, release.mac_in_guid)
    return Machine(
        model=model,
        identity=identity,
        eeprom=config,
        release=release,
        clock=lambda: world.now,
        rng=random.Random(seed),  # noqa: S311 - the same boot every time
        speed=speed,
    )


def boot(
    wire: Wire,
    *,
    seconds: float = 600.0,
    link: bool = True,
    answers: Iterable[str] = (),
    date: str = "",
    speed: float = 1.0,
    keys: dict[str, object] | None = None,
    model: Model = PI4,
    revision: int = REVISION,
) -> World:
    """A boot from power-on in a new world."""
    world = World(wire, link=link, answers=list(answers))
    board = machine(world, date=date, speed=speed, keys=keys, model=model, revision=revision)
    return world.run(bootloader.program(board), seconds=seconds)


def in_a_state(world: World, *, uart: bool = True) -> None:
    """What a boot must have come to, whatever the wire did: started a kernel, stands still and says why, or goes on waiting.

    uart: the board's log is on; then it has told of the network, in whole lines.
    """
    assert world.ended in ("handover", "halt", "time")
    assert (world.payload is not None) == (world.ended == "handover")
    assert bool(world.halted) == (world.ended == "halt")
    if uart:
        assert "RPi: BOOTSYS" in world.text.splitlines()[0]
        assert "Boot mode: NETWORK" in world.text or "Boot mode: HTTP" in world.text
        assert world.text.endswith("\r\n")


def silence(_now: float, _frame: bytes) -> list[tuple[float, bytes]]:
    """A wire without anybody."""
    return []
