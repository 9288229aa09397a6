# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile consoles: what real serial lines do on bad days. All are `BytePort`s that play a script without any clock."""

import os
import pty
import queue
import random
import re
import select
import subprocess
import threading
from collections.abc import Iterable

from harness.console.port import PortGone


class ScriptPort:
    """Gives `chunks` one per read as fast as it is asked; then nothing, or `PortGone` when `gone` says why."""

    def __init__(self, chunks: Iterable[bytes] = (), *, gone: str = "", name: str = "double") -> None:
        self.name = name
        self.gone = gone
        self.written = bytearray()
        self.did: list[str] = []
        self.closed = False
        self._queue: queue.Queue[bytes] = queue.Queue()
        self._woken = threading.Event()
        for chunk in chunks:
            self._queue.put(chunk)

    def say(self, data: bytes) -> None:
        self._queue.put(data)

    def read(self, timeout: float) -> bytes:
        if self.closed:
            raise PortGone("the port is closed")
        try:
            data = self._queue.get_nowait() if self.gone or timeout == 0 else self._queue.get(timeout=timeout)
        except queue.Empty:
            if self.gone:
                raise PortGone(self.gone) from None
            return b""
        return data

    def write(self, data: bytes) -> None:
        if self.closed:
            raise PortGone("the port is closed")
        self.written += data
        self.answer(data)

    def answer(self, data: bytes) -> None:
        """What the other side does about `data`."""

    def set_baud(self, baud: int) -> None:
        self.did.append(f"baud {baud}")

    def send_break(self, seconds: float = 0.25) -> None:
        self.did.append(f"break {seconds:g}")

    def interrupt(self) -> None:
        self._queue.put(b"")

    def close(self) -> None:
        self.closed = True


def one_octet_per_read(data: bytes) -> ScriptPort:
    return ScriptPort(data[i : i + 1] for i in range(len(data)))


def half_lines(data: bytes, seed: int = 1) -> ScriptPort:
    """Chunks of 1 to 40 octets that end anywhere."""
    rng = random.Random(seed)  # noqa: S311 - a test's dice
    chunks, at = [], 0
    while at < len(data):
        size = rng.randint(1, 40)
        chunks.append(data[at : at + size])
        at += size
    return ScriptPort(chunks)


def flood(octets: int, line: bytes = b"0123456789" * 6 + b"\r\n", chunk: int = 65536) -> ScriptPort:
    block = line * (chunk // len(line))
    return ScriptPort(block for _ in range(octets // len(block)))


def binary(octets: int = 200_000, seed: int = 2) -> ScriptPort:
    rng = random.Random(seed)  # noqa: S311
    return ScriptPort(rng.randbytes(1000) for _ in range(octets // 1000))


class Board(ScriptPort):
    """A board's end of the line with a getty, in one thread with whoever writes: deterministic.

    accounts: user -> password ("" none asked); prompt: of the shell behind the login; silent: prints nothing by itself.
    """

    def __init__(
        self,
        accounts: dict[str, str] | None = None,
        *,
        banner: bytes = b"\r\nDebian GNU/Linux 12 rpi ttyAMA0\r\n\r\n",
        prompt: bytes = b"root@rpi:~# ",
        silent: bool = False,
        open_shell: bool = False,
    ) -> None:
        super().__init__()
        self.accounts = accounts if accounts is not None else {"root": ""}
        self.prompt = prompt
        self.lines: list[str] = []
        self._state = "shell" if open_shell else "login"
        self._user = ""
        self._echo = True
        self._line = b""
        if not silent:
            self.say(prompt if open_shell else banner + b"rpi login: ")

    def answer(self, data: bytes) -> None:
        for octet in data:
            if octet != 0x0A:
                self._line += bytes((octet,))
                continue
            line, self._line = self._line.decode(), b""
            self.lines.append(line)
            if self._echo and self._state != "password":
                self.say(line.encode() + b"\r\n")
            getattr(self, f"_{self._state}")(line)

    def _login(self, line: str) -> None:
        if not line:
            self.say(b"rpi login: ")
        elif self.accounts.get(line) == "":
            self._enter()
        else:
            self._user = line
            self._state = "password"
            self.say(b"Password: ")

    def _password(self, line: str) -> None:
        if line and self.accounts.get(self._user) == line:
            self._enter()
        else:
            self._state = "login"
            self.say(b"\r\n\r\nLogin incorrect\r\nrpi login: ")

    def _enter(self) -> None:
        self._state = "shell"
        self.say(
            b"Linux rpi 6.12.1 aarch64\r\nLast login: Fri Nov 20 20:00:00 UTC 2026 on ttyAMA0\r\n\x1b[?2004h"
            + self.prompt
        )

    def _shell(self, line: str) -> None:
        """Says that it is ready; what a shell does is tested with real ones (`ShellPort`)."""
        ready = re.search(r"PB-READY- (\w+)", line)
        self.say(b"\r\nPB-READY-" + ready.group(1).encode() + b"\r\npiboot> " if ready else self.prompt)


class ShellPort:
    """A real shell on a pty of its own, as a console's far end. noise is put in after every `every` octets that it prints,
    as a kernel prints into the middle of whatever a terminal shows.
    """

    def __init__(self, argv: list[str], *, noise: bytes = b"", every: int = 7) -> None:
        self.name = argv[0]
        self._noise, self._every = noise, every
        self._count = 0
        self._master, slave = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "PS1": "# ", "HOME": "/"}
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment
        )
        os.close(slave)
        self._wake_read, self._wake_write = os.pipe()
        self._closed = False
        self._closing = threading.Lock()

    def read(self, timeout: float) -> bytes:
        if self._closed:
            raise PortGone("closed")
        ready, _, _ = select.select([self._master, self._wake_read], [], [], timeout)
        if self._wake_read in ready:
            os.read(self._wake_read, 100)
            return b""
        if not ready:
            return b""
        try:
            data = os.read(self._master, 4096)
        except OSError as error:
            raise PortGone(f"{error}; {self.name} ended with {self.process.poll()}") from error
        return self._noisy(data) if self._noise else data

    def _noisy(self, data: bytes) -> bytes:
        out = bytearray()
        for octet in data:
            out.append(octet)
            self._count += 1
            if self._count % self._every == 0:
                out += self._noise
        return bytes(out)

    def write(self, data: bytes) -> None:
        os.write(self._master, data)

    def set_baud(self, baud: int) -> None:
        raise NotImplementedError

    def send_break(self, seconds: float = 0.25) -> None:
        raise NotImplementedError

    def interrupt(self) -> None:
        with self._closing:
            if not self._closed:
                os.write(self._wake_write, b"!")

    def close(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self.process.kill()
        self.process.wait()
        for fd in (self._master, self._wake_read, self._wake_write):
            os.close(fd)
