# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory per rig for what is not worth keeping: TFTP roots, root file systems' upper layers, sockets.

`rig-<id>/` stands beside `rig-<id>.lock`, which the rig's owner and its keeper hold (flock) until both are gone. The lock is
made before the directory and removed after it, so a directory whose lock is free belongs to nobody, and the next start
removes it. A lock that is held is never touched: rigs that run at the same time do not meet.
"""

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from harness.errors import InfraError

DEFAULT_BASE = Path("/var/tmp/piboot")  # noqa: S108 - sticky, and every rig's part of it is its owner's alone
VARIABLE = "PIBOOT_SCRATCH"
# sun_path holds 108 bytes with the NUL (unix(7)); a socket's name under the directory takes some of them.
_LONGEST_SOCKET_DIRECTORY = 80


def scratch_base() -> Path:
    """$PIBOOT_SCRATCH, or /var/tmp/piboot."""
    return Path(os.environ.get(VARIABLE) or DEFAULT_BASE).absolute()


class Scratch(AbstractContextManager["Scratch"]):
    """One rig's directory, locked for as long as this lives. Raises InfraError when it cannot be made.

    path: the directory, readable by its owner only. sockets: a directory whose path is short enough for unix sockets.
    lock: the lock's descriptor, for the keeper to inherit.
    """

    def __init__(self, base: Path | None = None) -> None:
        base = base or scratch_base()
        try:
            _make_base(base)
            sweep(base)
            self.name, self.lock = _new_lock(base)
            self.path = base / self.name
            self.path.mkdir(mode=0o700)
            self.sockets = self.path / "s"
            if len(str(self.sockets)) > _LONGEST_SOCKET_DIRECTORY:
                self.sockets = Path(tempfile.mkdtemp(prefix="piboot-", dir="/tmp"))
                (self.path / "sockets").write_text(str(self.sockets), encoding="utf-8")
            else:
                self.sockets.mkdir()
        except OSError as error:
            raise InfraError(
                f"no scratch directory for the emulated lab: {error}",
                place=str(base),
                remedy=f"set {VARIABLE} to a directory on a local disk that you may write to",
            ) from error
        self._lock_path = base / f"{self.name}.lock"

    def close(self) -> None:
        """Remove the directory and give up the lock. Safe to repeat."""
        if self.lock < 0:
            return
        _remove(self.path)
        self._lock_path.unlink(missing_ok=True)
        os.close(self.lock)
        self.lock = -1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def sweep(base: Path) -> list[str]:
    """Remove what killed rigs left behind, and nothing else; gives their names."""
    removed = []
    for lock_path in sorted(base.glob("rig-*.lock")):
        try:
            if lock_path.stat().st_uid != os.geteuid():
                continue  # another user's; a held lock could not be told from a free one
            lock = os.open(lock_path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_present(lock, lock_path):
                _remove(lock_path.with_suffix(""))
                lock_path.unlink(missing_ok=True)
                removed.append(lock_path.stem)
        except BlockingIOError:
            pass  # a running rig
        finally:
            os.close(lock)
    return removed


def _make_base(base: Path) -> None:
    try:
        base.mkdir(parents=True)
    except FileExistsError:
        return
    # As /tmp: root and ordinary users may run rigs on the same machine.
    base.chmod(0o1777)


def _new_lock(base: Path) -> tuple[str, int]:
    while True:
        name = f"rig-{secrets.token_hex(4)}"
        path = base / f"{name}.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_present(lock, path):
            return name, lock
        os.close(lock)  # a sweep took it between the two calls: it was free for a moment


def _is_present(lock: int, path: Path) -> bool:
    """Whether the locked file still has its name: another process may have removed it before we got the lock."""
    with suppress(FileNotFoundError):
        return os.fstat(lock).st_ino == path.stat().st_ino
    return False


def _remove(directory: Path) -> None:
    with suppress(OSError, ValueError):
        sockets = Path((directory / "sockets").read_text(encoding="utf-8"))
        status = sockets.lstat()
        # Removed only if it is surely what a rig of this user made.
        ours = sockets.name.startswith("piboot-") and sockets.parent == Path("/tmp")  # noqa: S108
        if ours and stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
            shutil.rmtree(sockets, ignore_errors=True)
    with suppress(FileNotFoundError):
        shutil.rmtree(directory)
