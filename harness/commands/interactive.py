# SPDX-License-Identifier: GPL-2.0-or-later
"""A person's terminal on a board's console: keys go there as they are, its output comes through a sieve, Ctrl-] leaves."""

import contextlib
import os
import select
import signal
import socket
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.console.sieve import Sieve
from harness.console.visiting import escaped
from harness.errors import InfraError

LEAVE = b"\x1d"
"""Ctrl-], as telnet has it."""

#: Seconds that the console may refuse what is typed.
_PATIENCE = 10.0


def converse(console: socket.socket, keys: int, screen: int) -> str:
    """Until Ctrl-], or until the console is closed; why it ended, for people. keys, screen: file descriptors.

    A `keys` that is no terminal and ends leaves us looking on. The terminal is as it was before, however this ends.
    """
    sieve = Sieve()
    with _raw(keys):
        try:
            return _carry(console, keys, screen, sieve)
        finally:
            if os.isatty(screen) and (undo := sieve.restore()):
                with contextlib.suppress(OSError):
                    _write(screen, undo)


def _carry(console: socket.socket, keys: int, screen: int, sieve: Sieve) -> str:
    console.settimeout(_PATIENCE)
    sources: list[int | socket.socket] = [console, keys]
    while True:
        # Not for ever: a signal that comes just before the wait would only be seen with the next key.
        ready, _, _ = select.select(sources, [], [], 0.5)
        if console in ready:
            data = console.recv(65536)
            if not data:
                return "the console was closed"
            _write(screen, sieve.feed(data))
        if keys in ready:
            try:
                typed = os.read(keys, 4096)
            except OSError:  # the terminal was hung up
                return "the terminal is gone"
            before, leave, _ = typed.partition(LEAVE)
            if before:
                try:
                    console.sendall(escaped(before))
                except TimeoutError:
                    raise InfraError("the console takes nothing any more", remedy="is its line blocked?") from None
                except OSError:
                    return "the console was closed"
            if leave:
                return "left"
            if not typed:
                if os.isatty(keys):
                    return "the terminal is gone"
                sources.remove(keys)


@contextmanager
def _raw(keys: int) -> Iterator[None]:
    """Every key is the board's, Ctrl-C and Ctrl-Z too."""
    if not os.isatty(keys):
        yield
        return
    before = termios.tcgetattr(keys)
    handler = signal.getsignal(signal.SIGHUP)

    def hung_up(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGHUP, hung_up)
    try:
        tty.setraw(keys, termios.TCSADRAIN)
        yield
    finally:
        signal.signal(signal.SIGHUP, handler)
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(keys, termios.TCSADRAIN, before)


def _write(screen: int, data: bytes) -> None:
    while data:
        data = data[os.write(screen, data) :]
