# SPDX-License-Identifier: GPL-2.0-or-later
"""`driver: gpio-relay`: a relay on a GPIO pin, kept by a holder process (gpio_holder), which is started when it is absent."""

import hashlib
import json
import os
import select
import socket
import stat
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from harness.errors import InfraError
from harness.power.gpio_holder import START
from harness.power.gpio_line import Wiring
from harness.power.port import Refused, Silent, State, Timing
from harness.power.switched import SwitchedPort, Want, words

OnExit = Literal["keep", "off", "on"]


class GpioRelayPort(SwitchedPort):
    """on_exit: where the line goes when this process closes the port, ends or is killed. answer: seconds for one exchange;
    folder: where the line's holder listens; starts: False when somebody else starts it.
    """

    remedy = "see `gpioinfo` for who has the pin, and docs/power.md for rights on /dev/gpiochip*"

    def __init__(
        self,
        wiring: Wiring,
        *,
        on_exit: OnExit = "keep",
        timing: Timing | None = None,
        answer: float = 5.0,
        folder: Path | None = None,
        starts: bool = True,
    ) -> None:
        super().__init__(f"relay on {wiring.place}", timing)
        self._wiring, self._on_exit, self._answer = wiring, on_exit, answer
        self._starts = starts
        self._socket = (folder or runtime_folder()) / f"{line_name(wiring)}.sock"
        self._connection: socket.socket | None = None
        #: Process of the holder, 0 before the first exchange.
        self.holder = 0

    def order(self, want: Want) -> None:
        self._ask({"op": want})

    def look(self) -> State:
        answer = self._ask({"op": "state"}).get("state")
        if answer not in {"on", "off"}:
            self.detail = f"its holder said {words(str(answer))}"
            return "unknown"
        state: Want = "on" if answer == "on" else "off"
        self.detail = f"GPIO{self._wiring.pin} reads {'high' if self._wiring.level(state) else 'low'}"
        return state

    def close(self) -> None:
        """Let go: the holder brings the line where `on_exit` says, and keeps it."""
        with self._lock:
            self._drop()

    def stop_holder(self) -> None:
        """End the holder; the line is left as it is as far as the chip lets that be. InfraError: it does not answer."""
        with self._lock:
            try:
                self._ask({"op": "stop"})
            except (Silent, Refused) as error:
                raise InfraError(f"the holder of {self._wiring.place} does not end: {error}") from None
            finally:
                self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._connection is None:
            self._connection = self._attached()
        return self._exchange(self._connection, request)

    def _attached(self) -> socket.socket:
        connection = self._connect()
        if connection is None and self._starts:
            self._start()
            connection = self._connect()
        if connection is None:
            why = "it has just been started" if self._starts else "its process has ended"
            raise Silent(f"the holder of {self._wiring.place} is not there ({why})")
        try:
            hello = {"op": "attach", "pid": os.getpid(), "on_exit": self._on_exit}
            hello |= {"active_low": self._wiring.active_low, "contact": self._wiring.contact}
            self.holder = int(self._exchange(connection, hello).get("pid", 0))
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._answer)
        try:
            connection.connect(str(self._socket))
        except OSError:
            connection.close()
            return None
        return connection

    def _exchange(self, connection: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            raw = bytearray()
            while b"\n" not in raw:
                data = connection.recv(4096)
                if not data:
                    raise ConnectionResetError("it closed the connection")
                raw += data
            answer = json.loads(raw)
        except (OSError, ValueError) as error:
            self._drop()
            raise Silent(f"no answer from the holder of {self._wiring.place}: {error}") from None
        if not answer.get("ok"):
            told = words(str(answer.get("error")), limit=300)
            if answer.get("stopping"):
                self._drop()
                raise Silent(f"the pin is lost: {told}")
            raise Refused(told)
        return dict(answer)

    def _start(self) -> None:
        """A process of its own session: it outlives this one, its terminal and its process group."""
        argv = [sys.executable, "-m", "harness.power.gpio_holder", str(self._socket), json.dumps(asdict(self._wiring))]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env=environment,
        )
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        with process.stdout as output:
            ready, _, _ = select.select([output], [], [], START + 1)
            line = output.readline() if ready else b""
        process.wait()  # it forks and ends at once
        if not line:
            raise Silent(f"the holder of {self._wiring.place} did not start within {START} s")
        answer = json.loads(line)
        if not answer["ok"]:
            raise Refused(words(answer["error"], limit=300))


def runtime_folder() -> Path:
    """Where holders listen: a folder that only this user can enter. InfraError: somebody else has taken its name."""
    base = os.environ.get("XDG_RUNTIME_DIR") or ("/run" if os.geteuid() == 0 else tempfile.gettempdir())
    folder = Path(base) / ("piboot" if base != tempfile.gettempdir() else f"piboot-{os.geteuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise InfraError(
            f"{folder} belongs to somebody else or is open to others", remedy=f"look at it: ls -ld {folder}"
        )
    return folder


def line_name(wiring: Wiring) -> str:
    """One name per pin, however the relay on it is wired."""
    identity = json.dumps([wiring.factory, wiring.host, wiring.port, wiring.chip, wiring.pin])
    return f"gpio{wiring.pin}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
