# SPDX-License-Identifier: GPL-2.0-or-later
"""A stand-in for pigpiod: enough of its socket interface for gpiozero's PiGPIOFactory, and a log of what the pins did.

Commands are 16 octets, four little-endian words: command, p1, p2, length of what follows; the answer has the result in the last
(pigpio's "socket interface", sif.html).
"""

import contextlib
import socket
import struct
import threading

MODE_SET, MODE_GET, READ, WRITE, REVISION, HANDLE, INTERRUPTS = 0, 1, 3, 4, 17, 99, 99
#: A Pi 4 of 4 GB.
_REVISION = 0xC03114


class Pigpiod:
    """modes: 0 input, 1 output; latch: the output level, which a change of mode does not touch; log: (what, pin, value)."""

    def __init__(self, port: int = 0) -> None:
        self.modes: dict[int, int] = {}
        self.latch: dict[int, int] = {}
        self.log: list[tuple[str, int, int]] = []
        self.stuck: int | None = None
        self._server = socket.create_server(("127.0.0.1", port))
        self.port: int = self._server.getsockname()[1]
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for end in (self._server, *self._connections):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def writes(self, pin: int) -> list[int]:
        return [value for what, at, value in self.log if what == "write" and at == pin]

    def driven(self, pin: int) -> int | None:
        """The level that the pin is driven to; None: it is an input, the relay is left to itself."""
        return self.latch.get(pin, 0) if self.modes.get(pin) == 1 else None

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while len(request := connection.recv(16, socket.MSG_WAITALL)) == 16:
                command, p1, p2, length = struct.unpack("<IIII", request)
                if length:
                    connection.recv(length, socket.MSG_WAITALL)
                connection.sendall(struct.pack("<IIII", command, p1, p2, self._answer(command, p1, p2)))

    def _answer(self, command: int, p1: int, p2: int) -> int:
        if command == MODE_SET:
            self.modes[p1] = p2
            self.log.append(("mode", p1, p2))
        elif command == MODE_GET:
            return self.modes.get(p1, 0)
        elif command == READ:
            return self.latch.get(p1, 0) if self.stuck is None else self.stuck
        elif command == WRITE:
            self.latch[p1] = p2
            self.log.append(("write", p1, p2))
        return _REVISION if command == REVISION else 0
