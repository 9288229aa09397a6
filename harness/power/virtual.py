# SPDX-License-Identifier: GPL-2.0-or-later
"""The power port of an emulated board: JSON lines over the emulator's Unix socket.

{"op": "on", "folder": "/abs/path"} (the boot's folder, where the emulator leaves its files), {"op": "off"}, {"op": "state"} are
answered by {"ok": true, "state": "on"|"off", "phase": "bootloader"|"qemu"|"halted"|"stopped", "error": "", "t": epoch seconds}
or {"ok": false, "error": "..."}.
"""

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any, Literal

from harness.errors import InfraError
from harness.power.port import Refused, Silent, State, Timing, switch

#: Octets of an answer: more is not the emulator speaking.
_MAX_ANSWER = 64 * 1024


class VirtualPort:
    """Set `folder` before `on`. A connection per request: the emulator may be restarted.

    answer: seconds for one exchange; an emulator that has died is noticed at once, one that waits for a busy processor answers.
    """

    def __init__(
        self,
        control: Path,
        *,
        folder: Path | None = None,
        board: str = "",
        timing: Timing | None = None,
        answer: float = 15.0,
    ) -> None:
        self.control = control
        self.folder = folder
        self._board = board
        self._timing = timing or Timing()
        self._answer = answer
        self._lock = threading.RLock()
        self._detail = ""

    @property
    def identity(self) -> str:
        return f"the emulated power port of {self._board}" if self._board else f"the emulated power port {self.control}"

    @property
    def detail(self) -> str:
        return self._detail

    def on(self) -> None:
        folder = self.folder
        if folder is None:
            raise InfraError(
                f"{self.identity} was not told this boot's folder", remedy="set port.folder before port.on()"
            )
        self._switch("on", {"op": "on", "folder": str(folder.absolute())})

    def off(self) -> None:
        self._switch("off", {"op": "off"})

    def state(self) -> State:
        with self._lock:
            try:
                return self._look()
            except (Refused, Silent) as error:
                raise InfraError(f"{self.identity} does not tell its state: {error}", remedy=self._remedy()) from error

    def status(self) -> dict[str, Any]:
        """The emulator's whole answer to "state": `phase` and `error` as well. InfraError as `state`."""
        with self._lock:
            try:
                return self._ask({"op": "state"})
            except (Refused, Silent) as error:
                raise InfraError(f"{self.identity} does not tell its state: {error}", remedy=self._remedy()) from error

    def begin(self, folder: Path) -> None:
        """The board's next boot begins without us: it reboots by itself. Its files go to `folder`. InfraError as `state`."""
        with self._lock:
            try:
                self._ask({"op": "folder", "folder": str(folder.absolute())})
            except (Refused, Silent) as error:
                raise InfraError(f"{self.identity} takes no folder: {error}", remedy=self._remedy()) from error

    def _switch(self, want: Literal["on", "off"], request: dict[str, str]) -> None:
        with self._lock:
            switch(
                want,
                lambda: self._order(request),
                self._look,
                identity=self.identity,
                timing=self._timing,
                remedy=self._remedy(),
            )

    def _order(self, request: dict[str, str]) -> None:
        self._ask(request)

    def _look(self) -> State:
        answer = self._ask({"op": "state"})
        state = answer.get("state")
        self._detail = " ".join(f"{key} {answer[key]}" for key in ("phase", "error") if answer.get(key))
        return "on" if state == "on" else "off" if state == "off" else "unknown"

    def _ask(self, request: dict[str, str]) -> dict[str, Any]:
        try:
            raw = self._exchange(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise Silent(f"no answer from the emulator: {error.strerror or error}") from error
        try:
            answer = json.loads(raw)
        except ValueError as error:
            raise Silent(f"the emulator's answer is not JSON: {raw[:80]!r}") from error
        if not isinstance(answer, dict):
            raise Silent(f"the emulator's answer is not an object: {raw[:80]!r}")
        if answer.get("ok") is not True:
            raise Refused(str(answer.get("error") or "no reason given")[:300])
        return answer

    def _exchange(self, line: bytes) -> bytes:
        deadline = self._timing.monotonic() + self._answer
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self._answer)
            _connect(connection, self.control)
            connection.sendall(line)
            answer = bytearray()
            while b"\n" not in answer and len(answer) < _MAX_ANSWER:
                left = deadline - self._timing.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not whole within {self._answer:g} s")
                connection.settimeout(left)
                data = connection.recv(4096)
                if not data:
                    break
                answer += data
        return bytes(answer.split(b"\n")[0])

    def _remedy(self) -> str:
        return f"see the emulator's log beside {self.control}: has its process ended?"


def _connect(connection: socket.socket, path: Path) -> None:
    """Unix socket addresses hold 107 octets, folders of reports are longer: then by way of the folder's descriptor."""
    if len(os.fsencode(path)) <= 100:
        connection.connect(str(path))
        return
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
