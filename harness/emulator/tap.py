# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's network card: a persistent tap interface. Open means that the cable carries a signal."""

import errno
import fcntl
import os
import select
import socket
import struct
from collections.abc import Callable
from functools import partial

from harness.errors import InfraError

_TUN = "/dev/net/tun"
_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_SIOCGIFFLAGS = 0x8913
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
#: Longer than any frame of an MTU of 1500.
FRAME = 2048
_MOST_FLUSHED = 4096


class Tap:
    """A closed one is a board without power at its PHY. Frames are whole Ethernet frames without check sequence.

    wait: sleeps for at most so many milliseconds until a frame waits; not empty when one does. take: the next frame,
    raises BlockingIOError when none waits; put: sends one, raises OSError. Both are for the open card.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.fd = -1
        self.wait: Callable[[float | None], list[tuple[int, int]]] = select.poll().poll
        self.take: Callable[[], bytes] = partial(os.read, -1, FRAME)
        self.put: Callable[[bytes | bytearray], int] = partial(os.write, -1)

    def open(self) -> None:
        """Raises InfraError when the interface cannot be had."""
        if self.fd >= 0:
            return
        try:
            # Opening a name that is not there would make a new tap, which leads nowhere.
            socket.if_nametoindex(self.name)
        except OSError as error:
            raise InfraError(
                f"there is no tap {self.name} in this network namespace", remedy="the lab must make it first"
            ) from error
        try:
            fd = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise InfraError(
                f"{_TUN} cannot be opened: {error.strerror}", remedy="give this user read and write access to it"
            ) from error
        try:
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", self.name.encode(), _IFF_TAP | _IFF_NO_PI))
        except OSError as error:
            os.close(fd)
            why = "another process holds it" if error.errno == errno.EBUSY else error.strerror
            raise InfraError(
                f"the tap {self.name} cannot be opened: {why}",
                remedy="see that the lab made it in this network namespace, and that no other emulator or QEMU uses it",
            ) from error
        self.fd = fd
        readable = select.poll()
        readable.register(fd, select.POLLIN)
        self.wait, self.take, self.put = readable.poll, partial(os.read, fd, FRAME), partial(os.write, fd)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def running(self) -> bool:
        """Whether the interface is up and forwards: its carrier has been seen (operational state up)."""
        return is_running(self.name)

    def read(self) -> bytes | None:
        """A frame, None when none waits or the link is down."""
        try:
            return os.read(self.fd, FRAME)
        except OSError:
            return None

    def write(self, frame: bytes | bytearray) -> None:
        """A frame that the link does not take is lost, as on a real wire."""
        try:
            os.write(self.fd, frame)
        except OSError:
            return

    def flush(self) -> None:
        for _ in range(_MOST_FLUSHED):
            if self.read() is None:
                return


def is_running(name: str) -> bool:
    """Whether an interface is up and has a carrier; False when it is not there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, _SIOCGIFFLAGS, struct.pack("16sH22x", name.encode(), 0))
        except OSError:
            return False
    flags: int = struct.unpack_from("H", answer, 16)[0]
    return flags & (_IFF_UP | _IFF_RUNNING) == _IFF_UP | _IFF_RUNNING
