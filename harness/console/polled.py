# SPDX-License-Identifier: GPL-2.0-or-later
"""What ports with a file descriptor share: waiting for octets, being woken, being closed once."""

import contextlib
import os
import select
import threading


class Polled:
    """Waits for `fd`. `interrupt` and `_shut` may come from any thread."""

    def __init__(self, fd: int) -> None:
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._closed = False
        self._closing = threading.Lock()
        self._poll = select.poll()
        self._poll.register(self._wake_read, select.POLLIN)
        self._poll.register(fd, select.POLLIN)

    def interrupt(self) -> None:
        """Wake a blocked read."""
        with self._closing, contextlib.suppress(BlockingIOError):
            if not self._closed:  # else the number may be somebody else's file by now
                os.write(self._wake_write, b"!")

    def _ready(self, timeout: float) -> bool | None:
        """Whether octets (or a hang-up) are there within `timeout` seconds; None: woken."""
        ready = [fd for fd, _ in self._poll.poll(max(0.0, timeout) * 1000)]
        if self._wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
            return None
        return bool(ready)

    def _shut(self) -> bool:
        """Free what waiting needs; False when that was done before."""
        with self._closing:
            if self._closed:
                return False
            self._closed = True
            os.close(self._wake_read)
            os.close(self._wake_write)
            return True
