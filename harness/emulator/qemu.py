# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual machine of a board as a child process: its serial line, how it ended, and that it ends with us."""

import ctypes
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.emulator.loop import Loop
from harness.emulator.qemu_program import PROGRAM

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_READ = 65536
#: Its complaints about what the server delivered: the board's business, not a defect of the emulation.
_ABOUT_FILES = ("/received/", "kernel", "initrd")
_ENDS = {"guest-reset": "reset", "guest-shutdown": "shutdown", "guest-panic": "error"}


class Qemu:
    """arguments: with the program's path. on_output: bytes from the guest's serial line; on_end: once, when it has ended by
    itself, with (how, details).

    how: "reset" or "shutdown" by the guest, "refused" when QEMU cannot load the kernel or initramfs, else "error".
    Raises OSError when it cannot be started.
    """

    def __init__(
        self,
        loop: Loop,
        arguments: Sequence[str],
        tap_fd: int,
        errors: Path,
        *,
        on_output: Callable[[bytes], None],
        on_end: Callable[[str, str], None],
    ) -> None:
        self._loop = loop
        self._on_output = on_output
        self._on_end = on_end
        self._errors = errors
        self._how = ""
        self._qmp_text = b""
        serial, serial_theirs = socket.socketpair()
        control, control_theirs = socket.socketpair()
        # The machine protocol tells a reset from a power-off; -no-reboot ends QEMU on both. The guest waits (-S) until
        # the protocol is ready: what a short-lived guest does before that is told to nobody.
        number = control_theirs.fileno()
        self.argv = [*arguments, "-netdev", f"tap,id=wire,fd={tap_fd}"]
        self.argv += ["-chardev", f"socket,id=control,fd={number}", "-mon", "chardev=control,mode=control", "-S"]
        try:
            with errors.open("wb") as log:
                self._process = subprocess.Popen(
                    self.argv,
                    stdin=serial_theirs.fileno(),
                    stdout=serial_theirs.fileno(),
                    stderr=log,
                    pass_fds=(tap_fd, number),
                    # One thread only, and the child does nothing but this one call.
                    preexec_fn=die_with_parent(os.getpid()),  # noqa: PLW1509
                )
        except OSError:
            serial.close()
            control.close()
            raise
        finally:
            serial_theirs.close()
            control_theirs.close()
        self._serial, self._control = serial, control
        self._control.send(b'{"execute": "qmp_capabilities"}\n{"execute": "cont"}\n')
        self._pidfd = os.pidfd_open(self._process.pid)
        for sock in (serial, control):
            sock.setblocking(False)
        loop.watch(serial.fileno(), lambda _events: self._read_serial())
        loop.watch(control.fileno(), lambda _events: self._read_control())
        loop.watch(self._pidfd, lambda _events: self._ended())

    @property
    def pid(self) -> int:
        return self._process.pid

    def type(self, data: bytes) -> None:
        """To the guest's serial line; what its full queue does not take is lost, as on a real line."""
        try:
            self._serial.send(data)
        except OSError:
            return

    def kill(self) -> None:
        """At once, without a word to the guest: the power is gone. Returns when the process is no more."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._close()

    def _ended(self) -> None:
        code = self._process.wait()
        while self._read_serial():
            pass
        while self._read_control():
            pass
        self._close()
        if self._how:
            self._on_end(self._how, "")
            return
        try:
            words = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        except OSError:
            words = []
        how = "refused" if any(about in word for word in words for about in _ABOUT_FILES) else "error"
        self._on_end(how, f"{PROGRAM} ended with code {code}" + "".join(f": {word}" for word in words))

    def _read_serial(self) -> bool:
        data = _receive(self._serial)
        if data:
            self._on_output(data)
        elif data == b"":
            self._loop.forget(self._serial.fileno())
        return bool(data)

    def _read_control(self) -> bool:
        data = _receive(self._control)
        if data == b"":
            self._loop.forget(self._control.fileno())
        *lines, self._qmp_text = (self._qmp_text + (data or b""))[-_READ:].split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
                if message.get("event") == "SHUTDOWN":
                    self._how = _ENDS.get(message["data"]["reason"], self._how)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
        return bool(data)

    def _close(self) -> None:
        for fd in (self._serial.fileno(), self._control.fileno(), self._pidfd):
            self._loop.forget(fd)
        self._serial.close()
        self._control.close()
        os.close(self._pidfd)


def _receive(sock: socket.socket) -> bytes | None:
    """None when nothing waits, b"" when the other end is gone."""
    try:
        return sock.recv(_READ)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def die_with_parent(parent: int) -> Callable[[], None]:
    """For the child between fork and exec: the kernel kills it when the thread that started it ends, however it ends."""
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask
