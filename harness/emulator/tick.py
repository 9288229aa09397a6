# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads of a network card that sleep in the kernel, and yet end soon: for a board that has a process to itself.

A tap has no time-out for reads, and asking before each read whether a frame waits (poll) costs a lock-step transfer a tenth
of its speed. So the descriptor is made blocking for a moment, and an interval timer (SIGALRM) makes it non-blocking again. A read
that the signal interrupts is tried again by the interpreter (PEP 475), after the handler has run: it then gives a frame or
BlockingIOError, and no frame is lost. A signal between the interpreter's last look and the system call goes unheard by that read;
the next one, an interval later, ends it.
"""

import os
import signal
from types import FrameType

#: Seconds by which a frame that does not come may keep the board's other descriptors and timers waiting, or twice that.
INTERVAL = 0.01


class Tick:
    """Takes SIGALRM and ITIMER_REAL of the process until it is left. Raises ValueError outside its main thread, where no
    handler ever runs.

    due: the moment is over. The timer runs from begin() to end() only, and nothing may be started between them: a timer survives
    an exec, a handler does not.
    """

    def __init__(self) -> None:
        self.due = True
        self._fd = -1
        self._before = signal.signal(signal.SIGALRM, self._ring)

    def begin(self, fd: int) -> None:
        """Reads of that descriptor sleep until the moment is over. Raises OSError when it is closed."""
        os.set_blocking(fd, True)
        self._fd, self.due = fd, False
        signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)

    def end(self) -> None:
        """The descriptor never blocks again; safe at any time."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._ring(0, None)
        self._fd = -1

    def __enter__(self) -> "Tick":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.end()
        signal.signal(signal.SIGALRM, self._before)

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        self.due = True
        if self._fd >= 0:
            os.set_blocking(self._fd, False)
