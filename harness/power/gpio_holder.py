# SPDX-License-Identifier: GPL-2.0-or-later
"""The process that keeps a relay's line while harnesses come, go and die: `python -m harness.power.gpio_holder SOCKET WIRING`.

It takes the pin, listens on a Unix socket of its user's, and serves one harness at a time, in JSON lines. First
{"op": "attach", "pid": N, "on_exit": "keep"|"off"|"on", "active_low": bool, "contact": "no"|"nc"}, then
{"op": "on"|"off"|"state"}, or {"op": "stop"}. Answers: {"ok": true, "state": "on"|"off", "pid": holder's} or
{"ok": false, "error": text, "stopping": bool}.

When the connection of the attached harness ends, in whatever way, the line is brought where its `on_exit` says. The holder
then stays: gpiozero makes a pin an input when its process lets go of it. On SIGTERM and "stop" it ends without touching the
line (a daemon like pigpiod keeps it).
"""

import fcntl
import json
import os
import selectors
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from harness.power.gpio_line import Line, Wiring

#: A request is shorter; more without a line's end is no harness.
_LONGEST = 4096
#: Seconds for the answer to leave: who does not read it is cut off.
_PATIENCE = 2.0

#: Seconds for the start: Python and gpiozero on a busy Pi 3, a connection to another host.
START = 20


class Holder:
    def __init__(self, line: Line, server: socket.socket) -> None:
        self._line = line
        self._server = server
        self._selector = selectors.DefaultSelector()
        self._selector.register(server, selectors.EVENT_READ)
        self._buffers: dict[socket.socket, bytearray] = {}
        self._attached: socket.socket | None = None
        self._pid = 0
        self._on_exit = "keep"

    def serve(self) -> None:
        """Until it is told to stop."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._server:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)

    def _accept(self) -> None:
        connection, _ = self._server.accept()
        connection.settimeout(_PATIENCE)
        self._buffers[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(_LONGEST)
        except OSError:
            data = b""
        buffer = self._buffers[connection]
        buffer += data
        if not data or len(buffer) > _LONGEST:
            self._gone(connection)
            return
        while b"\n" in buffer:
            line, _, rest = bytes(buffer).partition(b"\n")
            buffer[:] = rest
            answer = self._answer(connection, line)
            try:
                connection.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                self._gone(connection)
                return
            if answer.get("stopping"):
                os._exit(0)

    def _gone(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._buffers[connection]
        connection.close()
        if connection is self._attached:
            self._attached = None
            if self._on_exit == "on":
                self._line.switch("on")
            elif self._on_exit == "off":
                self._line.switch("off")

    def _answer(self, connection: socket.socket, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            return {"ok": False, "error": "this is no request"}
        try:
            operation = request["op"]
            if operation == "stop":
                return {"ok": True, "stopping": True}
            if operation == "attach":
                self._attach(connection, request)
            elif connection is not self._attached:
                return {"ok": False, "error": "attach first"}
            elif operation in {"on", "off"}:
                self._line.switch(operation)
            return {"ok": True, "state": self._line.state(), "pid": os.getpid()}
        except (PermissionError, KeyError, TypeError, ValueError) as error:
            return {"ok": False, "error": f"{error}"}
        except (
            Exception
        ) as error:  # gpiozero's libraries have their own: the pin is lost, a new holder may take it again
            return {"ok": False, "error": f"{type(error).__name__}: {error}", "stopping": True}

    def _attach(self, connection: socket.socket, request: dict[str, Any]) -> None:
        if self._attached is not None and self._attached is not connection:
            raise PermissionError(f"the pin is busy: process {self._pid} has it")
        on_exit = request["on_exit"]
        if on_exit not in {"keep", "off", "on"}:
            raise ValueError(f"on_exit {on_exit!r}")
        wiring = replace(self._line.wiring, active_low=bool(request["active_low"]), contact=request["contact"])
        self._line.wiring = wiring  # lab.yaml may have been corrected since the pin was taken
        self._attached, self._pid, self._on_exit = connection, int(request["pid"]), on_exit


def main() -> None:
    """Prints one line when it serves: {"ok": true, "pid": N} or {"ok": false, "error": text}."""
    if os.fork():
        os._exit(0)  # the harness waits for this one; init gets the other
    # Libraries print what they like (pigpio a whole paragraph): the harness' pipe is ours alone, and is closed when told.
    pipe, null = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    signal.alarm(START)  # a remote pigpiod that takes the connection and says nothing
    path, wiring = Path(sys.argv[1]), Wiring(**json.loads(sys.argv[2]))
    try:
        lock = _only_one(path)
        line = Line(wiring)
        server = listening(path)
    except BlockingIOError:
        _tell(pipe, {"ok": True, "pid": 0})  # another one was quicker
        return
    except BaseException as error:
        _tell(pipe, {"ok": False, "error": f"{type(error).__name__}: {error}"})
        os._exit(1)
    signal.alarm(0)
    # Not by way of gpiozero's atexit, which would let go of the line first.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    _tell(pipe, {"ok": True, "pid": os.getpid()})
    Holder(line, server).serve()
    lock.close()


def listening(path: Path) -> socket.socket:
    """The socket at which harnesses find the holder of a line."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(8)
    return server


def _only_one(path: Path) -> IO[str]:
    """The lock that one holder of a pin has; BlockingIOError for the second."""
    file = path.with_suffix(".lock").open("a")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _tell(pipe: int, answer: dict[str, Any]) -> None:
    os.write(pipe, json.dumps(answer).encode() + b"\n")
    os.close(pipe)


if __name__ == "__main__":
    main()
