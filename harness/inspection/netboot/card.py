# SPDX-License-Identifier: GPL-2.0-or-later
"""A network card with a board's MAC address: a packet socket, so that neither another DHCP client's port 68 nor our own address
matters. A server on this very machine hears no packet socket: it is also asked by a broadcast that loops back.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from harness.emulator.interface import Interface

_MOST = 4096
_ETHERNET = 14


class Card:
    """local: a server is on this machine. Raises ConfigError, InfraError on entry."""

    def __init__(self, interface: str, mac: bytes, *, local: bool = False) -> None:
        self._card = Interface(interface, mac, whole=local)
        self._name = interface
        self._local = local

    def __enter__(self) -> "Card":
        self._card.open()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._card.close()

    @property
    def running(self) -> bool:
        return self._card.running()

    def send(self, frame: bytes) -> None:
        self._card.write(frame)
        if self._local:
            with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as loop:
                loop.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                loop.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._name.encode())
                loop.sendto(frame[_ETHERNET:], ("255.255.255.255", 0))

    def frames(self, until: float) -> Iterator[bytes]:
        """What comes until then, time.monotonic(); at most some thousand frames, so that a flood ends, too."""
        for _ in range(_MOST):
            left = until - time.monotonic()
            if left <= 0:
                return
            self._card.wait(left * 1000)
            frame = self._card.read()
            if frame is not None:
                yield frame


def own_addresses() -> set[str]:
    """IPv4 addresses of this machine (of this network namespace)."""
    # Of the thread: it may have entered a namespace.
    lines = Path("/proc/thread-self/net/fib_trie").read_text(encoding="ascii").splitlines()
    return {before.split("-- ")[-1].strip() for before, line in pairwise(lines) if "/32 host LOCAL" in line}
