# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m harness.servers.cable CONFIG`: carries frames between two interfaces as a bad cable does, until it is ended.

CONFIG is JSON: {"board": "tap-0", "switch": "cable-0", "faults": {...}}; the words are those of `Faults`. It says "ready" when it
carries, and every link-up of the board's end.
"""

import contextlib
import errno
import heapq
import itertools
import json
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

from harness.servers.cable.faults import Cable, Faults
from harness.servers.carrier import has_carrier

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 263, 15, 23  # linux/if_packet.h
_SO_RCVBUFFORCE = 33
#: struct virtio_net_hdr: what the kernel has yet to do to a frame (checksum, segmentation) travels with it.
_VNET_HEADER = 10
_RTMGRP_LINK = 1
_LARGEST = 70_000
#: Frames read from one end before the other has its turn.
_TURN = 64


class Ends:
    """The two interfaces and the frames on their way."""

    def __init__(self, board: str, switch: str, cable: Cable) -> None:
        self._board, self._cable = board, cable
        self._sockets = {
            True: _opened(switch),
            False: _opened(board),
        }  # by whether what is read there goes to the board
        self._news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self._news.bind((0, _RTMGRP_LINK))
        self._probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._order = itertools.count()
        self._under_way: list[tuple[float, int, bool, bytes]] = []
        self._linked = False
        self._look()

    def carry(self) -> None:
        while True:
            wait = max(0.0, self._under_way[0][0] - time.monotonic()) if self._under_way else None
            ready = select.select([*self._sockets.values(), self._news], [], [], wait)[0]
            if self._news in ready:
                with contextlib.suppress(BlockingIOError):
                    while self._news.recv(65536):
                        pass
            # A frame can be read before the news of its link.
            if ready:
                self._look()
            for to_board, end in self._sockets.items():
                if end in ready:
                    self._take(end, to_board=to_board)
            self._deliver()

    def _look(self) -> None:
        linked = has_carrier(self._probe, self._board)
        if linked and not self._linked:
            print(f"{time.time():.3f} link up", flush=True)
            self._cable.link_up(time.monotonic())
        self._linked = linked

    def _take(self, end: socket.socket, *, to_board: bool) -> None:
        for _ in range(_TURN):
            try:
                frame = end.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENETDOWN:
                    raise
                return
            now = time.monotonic()
            for due in self._cable.carry(frame[_VNET_HEADER:], now, to_board=to_board):
                if due <= now and not self._under_way:
                    self._send(frame, to_board)
                else:
                    heapq.heappush(self._under_way, (due, next(self._order), to_board, frame))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._under_way and self._under_way[0][0] <= now:
            _, _, to_board, frame = heapq.heappop(self._under_way)
            self._send(frame, to_board)

    def _send(self, frame: bytes, to_board: bool) -> None:
        # An end that is down, or has no room: the frame is lost, as on a cable.
        with contextlib.suppress(OSError):
            self._sockets[not to_board].send(frame)


def _opened(interface: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    with contextlib.suppress(OSError):  # in a user namespace: less room, nothing else
        end.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
    # Without it every checksum that a virtual card leaves to the kernel would be a wrong one.
    end.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    end.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    end.bind((interface, _ETH_P_ALL))
    return end


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    faults: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings["faults"].items()
    }
    ends = Ends(settings["board"], settings["switch"], Cable(Faults(**faults)))
    print("ready", flush=True)
    ends.carry()


if __name__ == "__main__":
    main()
