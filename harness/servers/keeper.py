# SPDX-License-Identifier: GPL-2.0-or-later
"""The rig's keeper: PID 1 of the rig's own PID, mount and network namespaces. Everything of a rig is started through it.

It obeys its owner over a control socket, and exits when that socket is closed or when the owner's process ends, however that
came about. The kernel then kills every process of the rig and drops its namespaces, mounts and interfaces: nothing of a rig
outlives its owner. Started by `harness.servers.keeper_client`; imports only what that takes, since a rig waits for it.
"""

import argparse
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.servers import kernel, protocol
from harness.servers.network import Network


class Init:
    """Carries out requests, one at a time; reports the ends of the processes that it started; reaps all others."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.network = Network()
        self._keys: dict[int, int] = {}  # process id -> the owner's key for it
        self._pids: dict[int, int] = {}
        self._calls: dict[str, Callable[..., Any]] = {
            "add_host": self.network.add_host,
            "add_bridge": self.network.add_bridge,
            "add_cable": self.network.add_cable,
            "add_tap": self.network.add_tap,
            "add_address": self.network.add_address,
            "wait_up": self.network.wait_up,
            "mount": self.mount,
            "unmount": self.unmount,
            "signal": self.signal,
        }

    # Requests -----------------------------------------------------------------------------------------------------------

    def mount(self, source: str, target: str, kind: str, options: str = "") -> None:
        """Mount in the keeper's own mount namespace, where all of the rig's processes see it; makes the mount point."""
        Path(target).mkdir(parents=True, exist_ok=True)
        kernel.mount(source, target, kind, kernel.MS_NOSUID if kind == "tmpfs" else 0, options)

    def unmount(self, target: str, lazy: bool = False) -> None:
        kernel.unmount(target, lazy=lazy)

    def spawn(
        self,
        *,
        key: int,
        host: str,
        program: str,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        fds: list[int],
    ) -> int:
        """Start a program in a host, with fds as its standard input, output and error; gives its process id in the rig.

        It leads a process group of its own, so that its helpers can be ended with it, but no session: a program that opens
        a pseudo-terminal must not get it as its controlling terminal.
        """
        if len(fds) != 3:
            raise protocol.ProtocolError(f"{len(fds)} descriptors for standard input, output and error")
        os.chdir(cwd)
        try:
            with self.network.inside(host):
                pid = os.posix_spawn(
                    program,
                    argv,
                    env,
                    file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(fds)],
                    setpgroup=0,
                    setsigmask=[],
                    setsigdef=[signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ],
                )
        finally:
            os.chdir("/")
        self._keys[pid], self._pids[key] = key, pid
        return pid

    def signal(self, key: int, number: int, group: bool = False) -> bool:
        """Send a signal to a process, or to it and its helpers; False when there was nobody left to get it."""
        pid = self._pids[key]
        if pid not in self._keys and not group:
            return False
        try:
            (os.killpg if group else os.kill)(pid, number)
        except ProcessLookupError:
            return False
        return True

    def open(self, host: str, path: str, flags: int) -> int:
        """A descriptor of a file as a process of that host sees it (/proc/self/net/... belongs to the host)."""
        with self.network.inside(host):
            return os.open(path, flags | os.O_CLOEXEC)

    def socket(self, host: str, family: int, kind: int, number: int) -> int:
        """A socket that lives in that host, for an owner who speaks there without starting a process."""
        with self.network.inside(host):
            return socket.socket(family, kind, number).detach()

    # The loop -----------------------------------------------------------------------------------------------------------

    def obey(self) -> bool:
        """Carry out one request. False when the owner has closed the control socket."""
        message, fds = protocol.receive(self.control)
        if message is None:
            return False
        number, call, args = protocol.request(message)
        answer: protocol.Message = {"id": number}
        given: list[int] = []
        try:
            if call == "spawn":
                answer["result"] = self.spawn(**args, fds=fds)
            elif call in ("open", "socket"):
                given = [getattr(self, call)(**args)]
                answer["result"] = None
            else:
                answer["result"] = self._calls[call](**args)
        except Exception as error:  # whatever it was, the owner must learn of it, and the rig must go on
            answer |= {"error": _words(error), "errno": getattr(error, "errno", getattr(error, "code", 0)) or 0}
        finally:
            protocol.close_all(fds)
        try:
            protocol.send(self.control, answer, given)
        finally:
            protocol.close_all(given)
        return True

    def reap(self) -> None:
        """Collect all ended processes, also those whose parent ended first; report the owner's own."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            key = self._keys.pop(pid, None)
            if key is not None:
                protocol.send(self.control, {"event": "exit", "key": key, "status": os.waitstatus_to_exitcode(status)})

    def run(self, owner: int) -> None:
        """Until the owner goes. owner: its pidfd, readable when it has ended."""
        wake_read, wake_write = socket.socketpair()
        wake_read.setblocking(False)
        wake_write.setblocking(False)
        signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            for source in (self.control, wake_read, owner):
                selector.register(source, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if owner in ready:
                    return
                if self.control in ready and not self.obey():
                    return
                if wake_read in ready:
                    with suppress(BlockingIOError):
                        while wake_read.recv(4096):
                            pass
                    self.reap()


def _words(error: Exception) -> str:
    """An exception as the end of the sentence "the lab could not ...:"."""
    if isinstance(error, KeyError):
        return f"there is no {error}"
    # netlink's errors are (errno, text) without being OSErrors
    return str(error.args[-1] if hasattr(error, "code") and error.args else error) or type(error).__name__


def private_places() -> None:
    """Give the rig its own /proc, /run, /srv and NFS state, so that it meets neither the machine's services nor other rigs."""
    try:
        kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    except PermissionError as error:
        # A container that hides parts of /proc forbids a new one in a user namespace; the old one serves the keeper, too.
        print(f"keeper: no /proc of its own: {error}", file=sys.stderr)
    for place in ("/run", "/srv", "/var/lib/nfs"):
        if Path(place).is_dir() and not Path(place).is_symlink():
            kernel.mount("tmpfs", place, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0755")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the control socket")
    parser.add_argument("--owner", type=int, required=True, help="pidfd of the process that the rig belongs to")
    parser.add_argument("--lock", type=int, help="a descriptor to hold: the lock of the rig's scratch directory")
    arguments = parser.parse_args()
    for fd in (arguments.fd, arguments.owner, arguments.lock):
        if fd is not None:
            os.set_inheritable(fd, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=arguments.fd)
    private_places()
    os.umask(0o022)
    init = Init(control)
    # An owner that went away while we wrote to it is the ordinary end, too.
    with suppress(BrokenPipeError, ConnectionResetError):
        protocol.send(control, {"event": "ready"})
        init.run(arguments.owner)


if __name__ == "__main__":
    main()
