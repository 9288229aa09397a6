# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's serial line: a pty whose other end the harness opens. It never blocks, whether somebody reads or not."""

import os
import pty
import tty
from collections.abc import Callable

from harness.emulator.loop import EPOLLIN, EPOLLOUT, Loop

#: What is kept for a reader that is late; beyond that the oldest is lost, as on a wire that nobody listens to.
BACKLOG = 1 << 20
_READ = 4096


class SerialLine:
    """path: what a reader opens. on_input gets what is typed at the other end."""

    def __init__(self, loop: Loop, on_input: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._on_input = on_input
        # Our own slave stays open, so that a reader may come and go without the line hanging up.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._backlog = bytearray()
        loop.watch(self._master, self._ready)

    def write(self, data: bytes) -> None:
        if not data:
            return
        if not self._backlog:
            data = data[self._put(data) :]
            if not data:
                return
            self._loop.change(self._master, EPOLLIN | EPOLLOUT)
        self._backlog += data
        if len(self._backlog) > BACKLOG:
            del self._backlog[: len(self._backlog) - BACKLOG]

    def close(self) -> None:
        self._loop.forget(self._master)
        os.close(self._master)
        os.close(self._slave)

    def _put(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._master, data)
        except OSError:
            return 0

    def _ready(self, events: int) -> None:
        if events & EPOLLIN:
            try:
                typed = os.read(self._master, _READ)
            except OSError:
                typed = b""
            if typed:
                self._on_input(typed)
        if events & EPOLLOUT and self._backlog:
            del self._backlog[: self._put(self._backlog)]
            if not self._backlog:
                self._loop.change(self._master, EPOLLIN)
