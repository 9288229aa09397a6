# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's power switch for the harness: JSON lines over a Unix socket.

{"op": "on", "folder": "/abs/path"}, {"op": "off"}, {"op": "state"} and {"op": "folder", "folder": "/abs/path"} (where the next
boot's files go, if the board reboots by itself) are answered by one line each, {"ok": true, "state":
"on"|"off", "phase": …, "error": "", "t": epoch} or {"ok": false, "error": "…"}; an answer to `off` comes when all is gone.
"""

import json
import os
import socket
from pathlib import Path
from typing import Any

from harness import clock
from harness.emulator.loop import Loop
from harness.emulator.pi import VirtualPi
from harness.errors import InfraError

_LONGEST_LINE = 65536


class Control:
    """Listens for one board. Raises OSError when the socket cannot be made."""

    def __init__(self, loop: Loop, pi: VirtualPi) -> None:
        self._loop = loop
        self._pi = pi
        self._path = pi.settings.control
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(self._path))
        self._socket.listen()
        self._socket.setblocking(False)
        self._open: dict[int, socket.socket] = {}
        self._texts: dict[int, bytes] = {}
        loop.watch(self._socket.fileno(), lambda _events: self._accept())

    def close(self) -> None:
        for fd in list(self._open):
            self._hang_up(fd)
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            connection, _address = self._socket.accept()
        except OSError:
            return
        connection.setblocking(False)
        fd = connection.fileno()
        self._open[fd], self._texts[fd] = connection, b""
        self._loop.watch(fd, lambda _events: self._read(fd))

    def _hang_up(self, fd: int) -> None:
        self._loop.forget(fd)
        self._texts.pop(fd)
        self._open.pop(fd).close()

    def _read(self, fd: int) -> None:
        connection = self._open[fd]
        try:
            data = connection.recv(_LONGEST_LINE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, rest = (self._texts[fd] + data).split(b"\n")
        self._texts[fd] = rest
        try:
            for line in lines:
                connection.send(json.dumps(self.answer(line)).encode() + b"\n")
        except OSError:
            data = b""  # who does not read its answer has hung up
        if not data or len(rest) > _LONGEST_LINE:
            self._hang_up(fd)

    def answer(self, line: bytes) -> dict[str, Any]:
        """Carries out one request; never raises."""
        try:
            request = json.loads(line)
        except ValueError:
            return {"ok": False, "error": "no JSON"}
        if not isinstance(request, dict):
            return {"ok": False, "error": "no JSON object"}
        operation, folder = request.get("op"), request.get("folder")
        try:
            if operation in ("on", "folder"):
                if folder is not None and not (isinstance(folder, str) and os.path.isabs(folder)):  # noqa: PTH117
                    return {"ok": False, "error": "folder must be an absolute path"}
                path = Path(folder) if folder else None
                if operation == "on":
                    self._pi.power_on(path)
                else:
                    self._pi.leave_files_in(path)
            elif operation == "off":
                self._pi.power_off()
            elif operation != "state":
                return {"ok": False, "error": f"op must be on, off, state or folder, not {str(operation)[:40]!r}"}
        except InfraError as error:
            return {"ok": False, "error": f"{error.what} ({error.remedy})", "remedy": error.remedy}
        pi = self._pi
        return {
            "ok": True,
            "state": "on" if pi.powered else "off",
            "phase": pi.phase,
            "error": pi.error,
            "t": clock.now(),
        }
