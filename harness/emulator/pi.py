# SPDX-License-Identifier: GPL-2.0-or-later
"""One emulated board at run time: carries out what its program yields with a tap, a pty and QEMU."""

import random
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from harness import clock
from harness.emulator import programs
from harness.emulator.effects import (
    Effect,
    Flush,
    Halt,
    HandOver,
    Link,
    Print,
    Receiver,
    Recv,
    Send,
    Sleep,
    Steps,
    Stream,
)
from harness.emulator.interface import Interface
from harness.emulator.loop import EPOLLIN, Loop, Timer
from harness.emulator.machine import Machine
from harness.emulator.serial import SerialLine
from harness.emulator.settings import Settings
from harness.emulator.system import System
from harness.emulator.tap import Tap
from harness.emulator.tick import Tick
from harness.errors import HarnessError

#: A transfer gives the other boards and the timers their turn after so many frames.
_BLOCKS = 16
#: Milliseconds by which it may keep them waiting for a frame that does not come.
_MOMENT = 2
_LINK_POLL = 0.02


class VirtualPi:
    """phase: "stopped" (no power), "bootloader", "qemu", "handed over" (without a machine to run it) or "halted".

    error: why the emulation itself has failed.

    program: what the board runs from power-on; None for that of its model.
    """

    def __init__(
        self,
        loop: Loop,
        settings: Settings,
        program: Callable[[Machine], Steps[None]] | None = None,
    ) -> None:
        self.settings = settings
        self._make_program = program or programs.program_of(settings.model)
        self.phase = "stopped"
        self.error = ""
        self.serial = SerialLine(loop, self._typed)
        self._system = System(loop, settings, self.serial, log=self.log, on_end=self._system_ended)
        self._loop = loop
        mac = settings.identity.mac
        self._tap: Tap | Interface = Tap(settings.tap) if settings.wire == "tap" else Interface(settings.tap, mac)
        self._watching = False
        self._program: Steps[None] | None = None
        self._effect: Effect | None = None
        self._timer: Timer | None = None

    @property
    def powered(self) -> bool:
        return self.phase != "stopped"

    def power_on(self, folder: Path | None) -> None:
        """Nothing happens when it is on. folder: where handover.json goes. Raises InfraError without QEMU, ConfigError when
        it is too old.
        """
        if self.powered:
            return
        self._system.renew(folder)
        self.phase, self.error = "bootloader", ""
        settings = self.settings
        machine = Machine(
            model=settings.model,
            identity=settings.identity,
            eeprom=settings.eeprom,
            release=settings.release,
            clock=self._loop.clock,
            rng=random.Random(),  # noqa: S311 - a real board's xids and ports are no secrets either
            speed=settings.speed,
            otp=settings.otp,
            repeats=settings.repeats,
        )
        self.log(f"power on, boot folder {folder}")
        self._program = self._make_program(machine)
        # Not from within the request: its answer is the time of power-on.
        self._timer = self._loop.at(self._loop.clock(), lambda: self._advance(None))

    def leave_files_in(self, folder: Path | None) -> None:
        """Where handover.json of the next boot goes, which the running system begins by a reboot."""
        self._system.renew(folder)

    def power_off(self) -> None:
        """Everything of the board is gone when this returns."""
        if not self.powered:
            return
        self._cancel()
        self._system.kill()
        if self._program is not None:
            self._program.close()
            self._program = None
        self._link_down()
        self.phase, self.error = "stopped", ""
        self.log("power off")

    def close(self) -> None:
        self.power_off()
        self.serial.close()

    def log(self, text: str) -> None:
        """A line in the emulator's log; a full disk must not stop a board."""
        line = f"{clock.now():.6f} {self.settings.name}: {text}\n"
        try:
            with self.settings.log.open("a", encoding="utf-8", errors="replace") as file:
                file.write(line)
        except OSError:
            return

    # -- carrying out effects ------------------------------------------------------------------------------------------

    def _advance(self, answer: object) -> None:
        """Runs the program until it waits for something."""
        try:
            while self._program is not None:
                effect = self._program.send(answer)
                self._effect = effect
                answer = None
                if isinstance(effect, Print):
                    self.serial.write(effect.text)
                elif isinstance(effect, Send):
                    self._tap.write(effect.frame)
                elif isinstance(effect, Flush):
                    self._tap.flush()
                elif isinstance(effect, Link) and not effect.up:
                    self._link_down()
                else:
                    self._wait_for(effect)
                    return
        except HarnessError as failure:
            self._fail(str(failure))
        except OSError as failure:
            self._fail(f"{failure.strerror or failure} ({failure.filename or self.settings.artefacts})")
        except Exception:  # a defect of this board's program: the other boards of this process play on
            self.log(traceback.format_exc())
            self._fail("the emulator has a defect, see its log: " + traceback.format_exc(limit=0).strip())

    def _wait_for(self, effect: Effect) -> None:
        if isinstance(effect, Recv):
            self._listen()
            self._timer = self._loop.at(effect.deadline, lambda: self._answer(None))
        elif isinstance(effect, Stream):
            self._loop.streams.add(self)
            self._listen()
            self._timer = self._loop.at(effect.receiver.deadline, self._stream_timer)
        elif isinstance(effect, Sleep):
            self._timer = self._loop.at(effect.until, lambda: self._answer(None))
        elif isinstance(effect, Link):
            self._tap.open()
            self._await_link(effect.deadline)
        elif isinstance(effect, Halt):
            self.phase = "halted"
            self.log(f"halted: {effect.why}")
        elif isinstance(effect, HandOver):
            self._ignore()  # from here on the frames are the system's
            self.phase = self._system.start(effect.payload, self._tap.fd)

    def _answer(self, answer: object) -> None:
        self._cancel()
        self._advance(answer)

    def _cancel(self) -> None:
        self._loop.streams.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._effect = None

    def _fail(self, why: str) -> None:
        """The emulation itself has failed: the board falls silent, and whoever asks for its state is told why."""
        self._cancel()
        self._system.kill()
        self.phase, self.error = "halted", why
        self.log(f"error: {why}")

    # -- the wire ------------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        if not self._watching and self._tap.fd >= 0:
            self._loop.watch(self._tap.fd, self._frames)
            self._watching = True

    def _ignore(self) -> None:
        if self._watching:
            self._loop.forget(self._tap.fd)
            self._watching = False

    def _link_down(self) -> None:
        self._ignore()
        self._tap.close()

    def _await_link(self, deadline: float) -> None:
        """The port of the bridge forwards some milliseconds after the carrier came; a cable may also not be there."""
        up = self._tap.running()
        if up or self._loop.clock() >= deadline:
            self._answer(up)
        else:
            self._timer = self._loop.at(self._loop.clock() + _LINK_POLL, lambda: self._await_link(deadline))

    def _frames(self, events: int) -> None:
        effect = self._effect
        if events & ~EPOLLIN:
            # The interface is gone; the descriptor would stay "ready" for ever.
            self._link_down()
            self._fail(f"the {self.settings.wire} {self._tap.name} was taken away while the board used it")
        elif isinstance(effect, Stream):
            self._stream(effect)
        elif isinstance(effect, Recv):
            if self._loop.clock() >= effect.deadline:
                self._answer(None)
                return
            frame = self._tap.read()
            if frame is not None:
                self._answer(frame)
        else:
            # Nobody listens just now: what comes waits in the card, and must not wake us again and again.
            self._ignore()

    def _stream(self, effect: Stream) -> None:
        """The hot loop: frames to the receiver, its answers back, without a detour through the program.

        The server answers one block at a time. When this board alone transfers, the next frame is awaited right here: it wakes
        this thread on the processor where the server has just run, which epoll does not.
        """
        receiver, tick = effect.receiver, self._loop.tick
        with suppress(OSError):  # no frame after all, or a frame lost on a wire whose other end is gone
            if tick is not None:
                self._sleeping(receiver, tick)
            else:
                self._polling(receiver, alone=len(self._loop.streams) == 1)
        if receiver.done:
            self._answer(None)

    def _sleeping(self, receiver: Receiver, tick: Tick) -> None:
        on_frame, take, put = receiver.on_frame, self._tap.take, self._tap.put
        try:
            tick.begin(self._tap.fd)
            while not tick.due:
                reply = on_frame(take())
                if reply is not None:
                    put(reply)
                if receiver.done:
                    break
        finally:
            tick.end()

    def _polling(self, receiver: Receiver, *, alone: bool) -> None:
        on_frame, wait, take, put = receiver.on_frame, self._tap.wait, self._tap.take, self._tap.put
        for _ in range(_BLOCKS):
            reply = on_frame(take())
            if reply is not None:
                put(reply)
            if receiver.done or not alone or not wait(_MOMENT):
                break

    def _stream_timer(self) -> None:
        effect = self._effect
        if not isinstance(effect, Stream):
            return
        reply = effect.receiver.on_timer(self._loop.clock())
        if reply is not None:
            self._tap.write(reply)
        if effect.receiver.done:
            self._answer(None)
        else:
            self._timer = self._loop.at(effect.receiver.deadline, self._stream_timer)

    # -- the operating system ------------------------------------------------------------------------------------------

    def _typed(self, data: bytes) -> None:
        self._system.typed(data)

    def _system_ended(self, how: str, details: str) -> None:
        self.phase = "bootloader"
        self._answer(how)
        if how == "error":
            self.error = details
