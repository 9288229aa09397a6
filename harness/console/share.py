# SPDX-License-Identifier: GPL-2.0-or-later
"""A console that is being read, for other processes of the same user: they see what comes from now on, and may type.

A Unix socket beside the log (`console.sock`, mode 0600) carries the octets of both directions as they are (`visiting` has breaks
among those that are typed). The log's own thread
stays the only reader of the line; a visitor that does not read loses octets, and nobody else does.
"""

import contextlib
import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.console.log import ConsoleLog
from harness.console.tap import Tap
from harness.console.visiting import Break, Typed
from harness.errors import ConfigError, HarnessError, InfraError

SOCKET = "console.sock"

#: Seconds that a visitor may keep us waiting before it is sent away, and that it waits for us.
_PATIENCE = 10.0

#: What a visitor gets first: from here on it misses nothing. NUL, which every terminal passes over.
_HERE = b"\0"


class ConsoleShare:
    """Serves `console` at `folder`/console.sock from now on until the console is closed. typed: told who types, once for each
    visitor but this process itself. InfraError: the socket cannot be made.
    """

    def __init__(self, console: ConsoleLog, folder: Path, typed: Callable[[str], None] = lambda _who: None) -> None:
        self.path = folder / SOCKET
        self._console, self._typed = console, typed
        self._visitors: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._wake, self._end = os.pipe()
        self._over = False
        try:
            self._server = _listening(self.path)
        except OSError as error:
            os.close(self._wake)
            os.close(self._end)
            what = f"the console cannot be shared: {error.strerror or error}"
            raise InfraError(what, place=str(self.path), remedy="give another folder with --reports") from error
        threading.Thread(target=self._accept, name="console share", daemon=True).start()
        console.after(self.close)

    def close(self) -> None:
        """Every visitor is sent away, and the socket removed. Safe to repeat."""
        with self._lock:
            if self._over:
                return
            self._over = True
            visitors = list(self._visitors)
            os.close(self._end)
        with contextlib.suppress(OSError):
            self.path.unlink()
        for visitor in visitors:
            with contextlib.suppress(OSError):
                visitor.shutdown(socket.SHUT_RD)  # what it has not read yet it still gets

    def _accept(self) -> None:
        with self._server:
            sources = [self._server.fileno(), self._wake]
            while self._wake not in select.select(sources, [], [])[0]:
                with contextlib.suppress(OSError):
                    visitor, _ = self._server.accept()
                    self._serve(visitor)
        os.close(self._wake)

    def _serve(self, visitor: socket.socket) -> None:
        pid, uid, _ = struct.unpack("3i", visitor.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        with self._lock:
            if self._over or uid not in {0, os.geteuid()}:
                visitor.close()
                return
            self._visitors.add(visitor)
        visitor.settimeout(_PATIENCE)
        threading.Thread(target=self._visit, args=(visitor, pid, uid), daemon=True).start()

    def _visit(self, visitor: socket.socket, pid: int, uid: int) -> None:
        """Until the visitor leaves, or the console is closed."""
        tap = self._console.tap()
        with contextlib.suppress(OSError):
            visitor.sendall(_HERE)
        show = threading.Thread(target=self._show, args=(visitor, tap), daemon=True)
        show.start()
        with visitor:
            self._take(visitor, pid, uid)
            with self._lock:
                self._visitors.discard(visitor)
            self._console.untap(tap)
            tap.put(None)
            show.join()

    def _show(self, visitor: socket.socket, tap: Tap) -> None:
        with contextlib.suppress(OSError):
            while (data := tap.get(3600.0)) is not None:
                visitor.sendall(data)
            visitor.shutdown(socket.SHUT_RDWR)

    def _take(self, visitor: socket.socket, pid: int, uid: int) -> None:
        """Hand on what is typed."""
        told, typed = pid == os.getpid(), Typed()
        try:
            while True:
                try:
                    data = visitor.recv(4096)
                except TimeoutError:
                    continue
                if not data:
                    return
                if not told:
                    told = True
                    self._typed(f"process {pid} of user {uid}")
                for item in typed.feed(data):
                    self._do(item, visitor)
        except (OSError, HarnessError):
            return

    def _do(self, item: bytes | Break, visitor: socket.socket) -> None:
        if isinstance(item, bytes):
            self._console.write(item)
            return
        try:
            self._console.send_break(item.then)
        except ConfigError as error:  # this line has none: no reason to send anybody away
            visitor.sendall(f"\r\n[{error.what}]\r\n".encode())


def attach(path: Path) -> socket.socket:
    """A connection to a console that another process reads: all that comes from now on comes through it, too. InfraError:
    nobody serves it, or it is not ours.
    """
    try:
        status = path.stat()
        if status.st_uid not in {0, os.geteuid()} and os.geteuid() != 0:
            raise InfraError(
                "this console is another user's", place=str(path), remedy="attach as that user, or as root"
            )
        with _short(path) as address:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(_PATIENCE)
                connection.connect(address)
                _await_greeting(connection)
                connection.settimeout(None)
            except BaseException:
                connection.close()
                raise
    except OSError as error:
        what = f"nobody serves this console: {error.strerror or error}"
        raise InfraError(what, place=str(path), remedy="has the run that read it just ended?") from error
    return connection


def _await_greeting(connection: socket.socket) -> None:
    """A connection is there before anybody has taken it: what is said until then would be missed. OSError: it is not taken."""
    if connection.recv(len(_HERE)) != _HERE:
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def leave(connection: socket.socket) -> None:
    """Return when what was typed last has been sent on; the other side closes then."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(_PATIENCE)
        while connection.recv(65536):
            pass


def serves(path: Path) -> bool:
    """Whether somebody serves a console there that we may have: what a killed process left is no console."""
    try:
        attach(path).close()
    except InfraError:
        return False
    return True


def _listening(path: Path) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as address:
            server.bind(address)
        path.chmod(0o600)  # before it listens: until then nobody can connect
        server.listen(8)
    except BaseException:
        server.close()
        raise
    return server


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Unix socket addresses hold 107 octets, folders of reports are longer: by way of the folder's descriptor."""
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
