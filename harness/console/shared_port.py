# SPDX-License-Identifier: GPL-2.0-or-later
"""A line that another harness process reads, as a line of our own: by the socket at which it shares its console."""

import contextlib
import os
import socket
import struct
from pathlib import Path

from harness.console.polled import Polled
from harness.console.port import BREAK, WRITE_TIMEOUT, PortGone
from harness.console.share import attach
from harness.console.visiting import break_command, escaped
from harness.errors import ConfigError, InfraError


class SharedPort(Polled):
    """name: of the line. The rate is the other process' to set. InfraError: nobody shares it, or we do ourselves."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._socket = attach(path)
        pid, _, _ = struct.unpack("3i", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if pid == os.getpid():
            self._socket.close()
            raise InfraError("this process shares the line itself", place=name)
        self._socket.settimeout(WRITE_TIMEOUT)
        super().__init__(self._socket.fileno())

    def read(self, timeout: float) -> bytes:
        if self._closed:
            raise PortGone("the port is closed")
        try:
            if not self._ready(timeout):
                return b""
            data = self._socket.recv(65536)
        except OSError as error:
            raise PortGone(str(error)) from error
        if not data:
            raise PortGone("the process that read the line has closed it")
        return data

    def write(self, data: bytes) -> None:
        if self._closed:
            raise PortGone("the port is closed")
        try:
            self._socket.sendall(escaped(data))
        except OSError as error:
            raise PortGone(str(error)) from error

    def set_baud(self, baud: int) -> None:
        raise self._theirs(f"its rate of {baud} baud")

    def send_break(self, seconds: float = BREAK) -> None:  # noqa: ARG002 - the other process' line has its own
        if self._closed:
            raise PortGone("the port is closed")
        try:
            self._socket.sendall(break_command())
        except OSError as error:
            raise PortGone(str(error)) from error

    def close(self) -> None:
        if self._shut():
            with contextlib.suppress(OSError):
                self._socket.close()

    def _theirs(self, what: str) -> ConfigError:
        return ConfigError(
            f"{what} cannot be set on a line that another process reads",
            place=self.name,
            remedy="end the other one (piboot console, piboot watch)",
        )
