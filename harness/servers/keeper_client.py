# SPDX-License-Identifier: GPL-2.0-or-later
"""The owner's side of the keeper: start it, ask it, hold the processes that it runs. Thread-safe; every call has a deadline."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeAlias

import harness
from harness.errors import InfraError
from harness.servers import protocol
from harness.servers.process import CALL_TIMEOUT, Process, last_lines
from harness.servers.programs import find, system_path

Stream: TypeAlias = int | IO[Any] | Path | None
"""Where a process's output goes: a descriptor, an open file, a path (appended to), None for nowhere."""

START_TIMEOUT = 20.0


class _Pending:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: protocol.Message = {}
        self.fds: list[int] = []


class Keeper(AbstractContextManager["Keeper"]):
    """A running keeper. `close()` ends it and with it everything of the rig; so does the end of this process.

    log: file for what the keeper itself says. lock: a descriptor that it holds to the end of its life.
    rootless: work in a user namespace of its own; the default is to do so when not root.
    Raises InfraError when it does not start, with what it said.
    """

    def __init__(self, log: Path, *, lock: int | None = None, rootless: bool | None = None) -> None:
        self.log = log
        self.rootless = os.geteuid() != 0 if rootless is None else rootless
        self._sending = threading.Lock()
        self._state = threading.Lock()
        self._number = 0
        self._pending: dict[int, _Pending] = {}
        self._processes: dict[int, Process] = {}
        self._ready = threading.Event()
        self._gone = threading.Event()
        self._closing = False
        self._control, child_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with child_end:
                self._unshare = self._start(child_end.fileno(), lock)
        except BaseException:
            self._control.close()
            raise
        self._reader = threading.Thread(target=self._read, name="piboot-keeper", daemon=True)
        self._reader.start()
        if not self._ready.wait(START_TIMEOUT) or self._gone.is_set():
            self.close()
            raise InfraError(
                "the emulated lab's keeper did not start" + last_lines(self.log, 8),
                place=str(self.log),
                remedy="allow user namespaces (sysctl kernel.unprivileged_userns_clone=1) or run as root"
                if self.rootless
                else "run on a machine, or in a container, that may create namespaces (CAP_SYS_ADMIN)",
            )

    def _start(self, fd: int, lock: int | None) -> "subprocess.Popen[bytes]":
        unshare = find("unshare")
        owner = os.pidfd_open(os.getpid())
        passed = [fd, owner] + ([lock] if lock is not None else [])
        command = [
            unshare,
            "--pid",
            "--fork",
            "--kill-child=SIGKILL",
            "--mount",
            "--net",
            "--propagation",
            "private",
        ]
        command += ["--user", "--map-root-user"] if self.rootless else []
        command += [
            "--",
            sys.executable,
            "-P",
            "-m",
            "harness.servers.keeper",
            "--fd",
            str(fd),
            "--owner",
            str(owner),
        ]
        command += ["--lock", str(lock)] if lock is not None else []
        try:
            with self.log.open("ab") as output:
                # A session of its own: Ctrl-C is for the owner, who then ends the rig in order.
                return subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env=python_environment(),
                    pass_fds=passed,
                    start_new_session=True,
                )
        finally:
            os.close(owner)

    # Calls --------------------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return not self._gone.is_set()

    @property
    def pid(self) -> int:
        """The process id, outside the rig, of the `unshare` that is the parent of the rig's PID 1."""
        return self._unshare.pid

    def add_host(self, host: str) -> None:
        """A new host: an empty network namespace with `lo` up."""
        self._call("add_host", host=host)

    def add_bridge(self, host: str, name: str) -> None:
        """A switch in a host."""
        self._call("add_bridge", host=host, name=name)

    def add_cable(self, host: str, name: str, bridge_host: str, bridge: str, port: str) -> None:
        """Plug interface `name` of a host (it is made) into `port` (it is made) of a switch."""
        self._call("add_cable", host=host, name=name, bridge_host=bridge_host, bridge=bridge, port=port)

    def add_tap(self, host: str, name: str, bridge: str) -> None:
        """A port of a switch that a program on the same host opens as its network card."""
        try:
            self._call("add_tap", host=host, name=name, bridge=bridge)
        except CallError as error:
            if error.number not in (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENODEV):
                raise
            raise InfraError(
                error.what,
                place="/dev/net/tun",
                remedy="load the module (sudo modprobe tun), and let yourself write to the device (sudo chmod 666 /dev/net/tun), "
                "or run as root",
            ) from error

    def add_address(self, host: str, name: str, address: str) -> None:
        """address: "10.77.0.1/24"."""
        self._call("add_address", host=host, name=name, address=address)

    def wait_up(self, host: str, names: Sequence[str], timeout: float = 5.0) -> None:
        """Until the interfaces are operational: they have a carrier, and a switch that they are plugged into forwards."""
        args = {"host": host, "names": list(names), "timeout": timeout}
        self._ask("wait_up", args, (), timeout + CALL_TIMEOUT)

    def mount(self, source: str, target: str, kind: str, options: str = "") -> None:
        """Mount something where all of the rig's processes see it, and nobody else."""
        self._call("mount", source=source, target=target, kind=kind, options=options)

    def unmount(self, target: str, *, lazy: bool = False) -> None:
        """Unmount; lazy: even if a process still uses it."""
        self._call("unmount", target=target, lazy=lazy)

    def signal(self, key: int, number: int, *, group: bool) -> bool:
        """Send a signal to a process (see Process.signal). False when nobody was left to get it."""
        return bool(self._call("signal", key=key, number=int(number), group=group))

    def _call(self, name: str, /, **args: Any) -> Any:
        return self._ask(name, args, (), CALL_TIMEOUT)[0]

    def _ask(self, name: str, args: dict[str, Any], fds: Sequence[int], timeout: float) -> tuple[Any, list[int]]:
        pending = _Pending()
        with self._state:
            self._number += 1
            number = self._number
            self._pending[number] = pending
        try:
            try:
                with self._sending:
                    if self._gone.is_set():
                        raise self._death(name)
                    protocol.send(self._control, {"id": number, "call": name, "args": args}, fds)
            except OSError:
                raise self._death(name) from None
            except protocol.ProtocolError as error:
                raise InfraError(f"the emulated lab's keeper cannot be asked to {name}: {error}") from error
            if not pending.done.wait(timeout):
                raise InfraError(
                    f"the emulated lab's keeper did not answer {name!r} within {timeout:g} s" + last_lines(self.log, 8),
                    place=str(self.log),
                )
        finally:
            with self._state:
                self._pending.pop(number, None)
        if not pending.answer:
            raise self._death(name)
        if "error" in pending.answer:
            raise CallError(name, str(pending.answer["error"]), int(pending.answer.get("errno") or 0))
        return pending.answer.get("result"), pending.fds

    def _death(self, name: str) -> InfraError:
        how = "was closed" if self._closing else "died"
        text = f"the emulated lab's keeper {how} before {name!r} was done"
        return InfraError(text + last_lines(self.log, 8), place=str(self.log))

    def spawn(
        self,
        host: str,
        argv: Sequence[str],
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | str = "/",
        log: Path | None = None,
    ) -> Process:
        """Start a program in a host. The program is looked for on PATH and in the system's sbin directories.

        env: additions to this process's environment. log: the file whose last lines explain a failure; by default
        stderr's or stdout's path. Raises InfraError, which names the Debian package of a program that is not there.
        """
        program = find(argv[0])
        log = log or next((stream for stream in (stderr, stdout) if isinstance(stream, Path)), None)
        with self._state:
            self._number += 1
            process = Process(self, self._number, argv, log)
            self._processes[process._key] = process
        opened: list[int] = []
        try:
            fds = [_descriptor(stdin, os.O_RDONLY, opened)]
            fds += [_descriptor(stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND, opened) for stream in (stdout, stderr)]
            arguments = {
                "key": process._key,
                "host": host,
                "program": str(Path(program).absolute()),
                "argv": [str(word) for word in argv],
                "env": {**python_environment(), **(env or {})},
                "cwd": str(cwd),
            }
            process.pid = self._ask("spawn", arguments, fds, CALL_TIMEOUT)[0]
        except BaseException:
            with self._state:
                del self._processes[process._key]
            raise
        finally:
            protocol.close_all(opened)
        return process

    def open(self, host: str, path: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor (the caller closes it) of a file as seen in a host: /proc/self/net/udp is that host's table."""
        return self._ask("open", {"host": host, "path": path, "flags": flags}, (), CALL_TIMEOUT)[1][0]

    def read(self, host: str, path: str) -> str:
        """The text of a file as seen in a host."""
        with os.fdopen(self.open(host, path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def socket(self, host: str, family: int, kind: int, number: int = 0) -> socket.socket:
        """A socket that lives in a host: what is sent through it leaves from there."""
        fd = self._ask("socket", {"host": host, "family": family, "kind": kind, "number": number}, (), CALL_TIMEOUT)[1][
            0
        ]
        return socket.socket(fileno=fd)

    # Life ---------------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while True:
                message, fds = protocol.receive(self._control)
                if message is None:
                    break
                self._dispatch(message, fds)
        except (OSError, protocol.ProtocolError):
            pass
        self._gone.set()
        self._ready.set()
        with self._state:
            pending, processes = list(self._pending.values()), list(self._processes.values())
        for waiting in pending:
            waiting.done.set()
        for process in processes:
            process._finish(-signal.SIGKILL)

    def _dispatch(self, message: protocol.Message, fds: list[int]) -> None:
        if message.get("event") == "ready":
            self._ready.set()
        elif message.get("event") == "exit":
            with self._state:
                process = self._processes.pop(message["key"], None)
            if process is not None:
                process._finish(message["status"])
        else:
            with self._state:
                pending = self._pending.pop(message.get("id", 0), None)
            if pending is None:  # its caller gave up
                protocol.close_all(fds)
            else:
                pending.answer, pending.fds = message, fds
                pending.done.set()

    def close(self) -> None:
        """End the keeper and with it every process of the rig. Returns when the kernel has ended them all; safe to repeat."""
        self._closing = True
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        try:
            # `unshare` ends after its child, and the kernel lets PID 1 go only when its namespace is empty.
            self._unshare.wait(CALL_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._unshare.kill()
            self._unshare.wait(CALL_TIMEOUT)
        if self._reader.is_alive() and self._reader is not threading.current_thread():
            self._reader.join(CALL_TIMEOUT)
        self._control.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class CallError(InfraError):
    """The keeper could not do what it was asked to. `number` is the errno, 0 when there is none."""

    def __init__(self, call: str = "", text: str = "", number: int = 0, *, place: str = "", remedy: str = "") -> None:
        super().__init__(f"the emulated lab could not {call.replace('_', ' ')}: {text}", place=place, remedy=remedy)
        self.number = number


def python_environment() -> dict[str, str]:
    """This process's environment, with which `python -m harness....` finds this very package, whatever the directory."""
    root = str(Path(harness.__file__).parent.parent)
    others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != root]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, *others]), "PATH": system_path()}


def _descriptor(stream: Stream, flags: int, opened: list[int]) -> int:
    if isinstance(stream, int):
        return stream
    if stream is None or isinstance(stream, Path):
        opened.append(os.open(stream or os.devnull, flags | os.O_CLOEXEC, 0o644))
        return opened[-1]
    return stream.fileno()
