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
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeAlias

import harness
from harness.errors import InfraError
from harness.servers import protocol
from harness.servers.channel import CallError, Channel
from harness.servers.process import CALL_TIMEOUT, Process, last_lines
from harness.servers.programs import find, system_path

Stream: TypeAlias = int | IO[Any] | Path | None
"""Where a process's output goes: a descriptor, an open file, a path (appended to), None for nowhere."""

START_TIMEOUT = 20.0


class Keeper(AbstractContextManager["Keeper"]):
    """A running keeper. `close()` ends it and with it everything of the rig; so does the end of this process.

    log: file for what the keeper itself says. lock: a descriptor that it holds to the end of its life.
    rootless: work in a user namespace of its own; the default is to do so when not root.
    Raises InfraError when it does not start, with what it said.
    """

    def __init__(self, log: Path, *, lock: int | None = None, rootless: bool | None = None) -> None:
        self.log = log
        self.rootless = os.geteuid() != 0 if rootless is None else rootless
        self._lock = threading.Lock()
        self._processes: dict[int, Process] = {}
        self._ready = threading.Event()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._unshare = self._start(theirs.fileno(), lock)
        except BaseException:
            ours.close()
            raise
        self._channel = Channel(ours, log, self._event, self._death)
        if not self._ready.wait(START_TIMEOUT) or not self._channel.open:
            self.close()
            raise InfraError(
                "the emulated lab's keeper did not start" + last_lines(log),
                place=str(log),
                remedy="allow user namespaces (sysctl kernel.unprivileged_userns_clone=1) or run as root"
                if self.rootless
                else "run on a machine, or in a container, that may create namespaces (CAP_SYS_ADMIN)",
            )

    def _start(self, fd: int, lock: int | None) -> "subprocess.Popen[bytes]":
        unshare = find("unshare")
        owner = os.pidfd_open(os.getpid())
        passed = [fd, owner] + ([lock] if lock is not None else [])
        command = [unshare, "--pid", "--fork", "--kill-child=SIGKILL", "--mount", "--net", "--propagation", "private"]
        command += ["--user", "--map-root-user"] if self.rootless else []
        command += ["--", sys.executable, "-P", "-m", "harness.servers.keeper", f"--fd={fd}", f"--owner={owner}"]
        command += [f"--lock={lock}"] if lock is not None else []
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
        return self._channel.open

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

    def add_tap(self, host: str, name: str, bridge: str = "") -> None:
        """A port of a switch (or of nothing yet) that a program on the same host opens as its network card."""
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
        self._channel.ask("wait_up", args, timeout=timeout + CALL_TIMEOUT)

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
        return self._channel.ask(name, args, timeout=CALL_TIMEOUT)[0]

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
        key = self._channel.number()
        process = Process(self, key, argv, log)
        with self._lock:
            self._processes[key] = process
        opened: list[int] = []
        try:
            fds = [_descriptor(stdin, os.O_RDONLY, opened)]
            fds += [_descriptor(stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND, opened) for stream in (stdout, stderr)]
            arguments = {
                "key": key,
                "host": host,
                "program": str(Path(program).absolute()),
                "argv": [str(word) for word in argv],
                "env": {**python_environment(), **(env or {})},
                "cwd": str(cwd),
            }
            process.pid = self._channel.ask("spawn", arguments, fds)[0]
        except BaseException:
            with self._lock:
                self._processes.pop(key, None)
            raise
        finally:
            protocol.close_all(opened)
        return process

    def open(self, host: str, path: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor (the caller closes it) of a file as seen in a host: /proc/self/net/udp is that host's table."""
        return self._channel.ask("open", {"host": host, "path": path, "flags": flags})[1][0]

    def read(self, host: str, path: str) -> str:
        """The text of a file as seen in a host."""
        with os.fdopen(self.open(host, path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def socket(self, host: str, family: int, kind: int, number: int = 0) -> socket.socket:
        """A socket that lives in a host: what is sent through it leaves from there."""
        arguments = {"host": host, "family": family, "kind": kind, "number": number}
        fd = self._channel.ask("socket", arguments)[1][0]
        return socket.socket(fileno=fd)

    # Life ---------------------------------------------------------------------------------------------------------------

    def _event(self, message: protocol.Message) -> None:
        if message["event"] == "ready":
            self._ready.set()
        else:
            with self._lock:
                process = self._processes.pop(message["key"], None)
            if process is not None:
                process._finish(message["status"])

    def _death(self) -> None:
        self._ready.set()
        with self._lock:
            processes = list(self._processes.values())
        for process in processes:
            process._finish(-signal.SIGKILL)

    def close(self) -> None:
        """End the keeper and with it every process of the rig. Returns when the kernel has ended them all; safe to repeat."""
        self._channel.close()
        try:
            # `unshare` ends after its child, and the kernel lets PID 1 go only when its namespace is empty.
            self._unshare.wait(CALL_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._unshare.kill()
            self._unshare.wait(CALL_TIMEOUT)
        self._channel.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
