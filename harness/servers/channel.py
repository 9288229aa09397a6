# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions to a keeper and its answers, from any thread, each with a deadline; and its events."""

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.errors import InfraError
from harness.servers import protocol
from harness.servers.process import CALL_TIMEOUT, last_lines


class CallError(InfraError):
    """The keeper could not do what it was asked to. `number` is the errno, 0 when there is none."""

    def __init__(self, call: str = "", text: str = "", number: int = 0, *, place: str = "", remedy: str = "") -> None:
        super().__init__(f"the emulated lab could not {call.replace('_', ' ')}: {text}", place=place, remedy=remedy)
        self.number = number


class _Pending:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: protocol.Message = {}
        self.fds: list[int] = []


class Channel:
    """The owner's end of the control socket, with a thread that reads it.

    on_event gets every message that is no answer; on_gone is called once, when the keeper is gone and after the last event.
    Both are called from the reading thread. log: where the keeper's last words are found.
    """

    def __init__(
        self,
        control: socket.socket,
        log: Path,
        on_event: Callable[[protocol.Message], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._control = control
        self._log = log
        self._on_event = on_event
        self._on_gone = on_gone
        self._sending = threading.Lock()
        self._state = threading.Lock()
        self._number = 0
        self._pending: dict[int, _Pending] = {}
        self._gone = threading.Event()
        self._closing = False
        self._reader = threading.Thread(target=self._read, name="piboot-keeper", daemon=True)
        self._reader.start()

    @property
    def open(self) -> bool:
        """False once the keeper is gone."""
        return not self._gone.is_set()

    def number(self) -> int:
        """A number that this channel has not given before."""
        with self._state:
            self._number += 1
            return self._number

    def ask(
        self, call: str, args: dict[str, Any], fds: Sequence[int] = (), timeout: float = CALL_TIMEOUT
    ) -> tuple[Any, list[int]]:
        """One request: its result, and the descriptors that came with it, which are the caller's.

        Raises CallError when the keeper could not do it, InfraError when it is gone or silent for `timeout` seconds.
        """
        pending, number = _Pending(), self.number()
        with self._state:
            self._pending[number] = pending
        try:
            self._send(call, {"id": number, "call": call, "args": args}, fds)
            if not pending.done.wait(timeout):
                raise InfraError(
                    f"the emulated lab's keeper did not answer {call!r} within {timeout:g} s" + last_lines(self._log),
                    place=str(self._log),
                )
        finally:
            with self._state:
                self._pending.pop(number, None)
        if not pending.answer:
            raise self._death(call)
        if "error" in pending.answer:
            raise CallError(call, str(pending.answer["error"]), int(pending.answer.get("errno") or 0))
        return pending.answer.get("result"), pending.fds

    def close(self) -> None:
        """Say goodbye: the keeper ends when it sees this. Safe to repeat."""
        self._closing = True
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """After close() and the keeper's end: give back the thread and the socket."""
        if self._reader is not threading.current_thread():
            self._reader.join(CALL_TIMEOUT)
        self._control.close()

    def _send(self, call: str, message: protocol.Message, fds: Sequence[int]) -> None:
        try:
            with self._sending:
                if self._gone.is_set():
                    raise self._death(call)
                protocol.send(self._control, message, fds)
        except OSError:
            raise self._death(call) from None
        except protocol.ProtocolError as error:
            raise InfraError(f"the emulated lab's keeper cannot be asked to {call}: {error}") from error

    def _death(self, call: str) -> InfraError:
        how = "was closed" if self._closing else "died"
        text = f"the emulated lab's keeper {how} before {call!r} was done"
        return InfraError(text + last_lines(self._log), place=str(self._log))

    def _read(self) -> None:
        with suppress(OSError, protocol.ProtocolError):
            while True:
                message, fds = protocol.receive(self._control)
                if message is None:
                    break
                if "event" in message:
                    protocol.close_all(fds)
                    self._on_event(message)
                else:
                    self._answer(message, fds)
        self._gone.set()
        with self._state:
            waiting = list(self._pending.values())
        for pending in waiting:
            pending.done.set()
        self._on_gone()

    def _answer(self, message: protocol.Message, fds: list[int]) -> None:
        with self._state:
            pending = self._pending.pop(message.get("id", 0), None)
        if pending is None:  # its caller gave up
            protocol.close_all(fds)
        else:
            pending.answer, pending.fds = message, fds
            pending.done.set()
