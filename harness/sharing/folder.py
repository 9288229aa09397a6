# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a lab's leases, where all its users meet, and files in it that nobody can trick us with.

The folder is writable by all who share the lab: others may put anything there. So files are opened relative to the folder's
descriptor, never through a link, and taken only when they are regular files with one name.
"""

import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from harness.errors import InfraError

#: Names the folder for processes whose lab.yaml has no `locks:`.
VARIABLE = "PIBOOT_LOCKS"
#: Where Debian and its like have a folder for everybody's locks, emptied at every start; elsewhere the second.
_SHARED = (Path("/run/lock"), Path("/var/tmp"))  # noqa: S108 - sticky; what lies below is checked
#: Seconds that somebody else may take between making the folder and opening it to others.
_MAKING = 2.0


def default_folder() -> Path:
    """$PIBOOT_LOCKS, else /run/lock/piboot, else /var/tmp/piboot-locks."""
    if own := os.environ.get(VARIABLE):
        return Path(own).absolute()
    first, second = _SHARED
    return first / "piboot" if _open_to_all(first) else second / "piboot-locks"


def _open_to_all(path: Path) -> bool:
    with suppress(OSError):
        status = path.lstat()
        return stat.S_ISDIR(status.st_mode) and status.st_mode & 0o1002 == 0o1002
    return False


class LeaseFolder:
    """path: need not be there; it is made, for all users, when the first lease is taken."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, *, make: bool) -> int | None:
        """A descriptor of the folder; None when there is none and it shall not be made. InfraError: it is not fit for locks."""
        deadline = time.monotonic() + _MAKING
        while True:
            try:
                fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                if not make:
                    return None
                self._make()
                continue
            except OSError as error:
                raise self._unfit(error.strerror or str(error)) from error
            trouble = _trouble(fd) if make else ""
            if not trouble:
                return fd
            os.close(fd)
            if time.monotonic() > deadline:
                raise self._unfit(trouble)
            time.sleep(0.05)  # somebody else may just be making it

    def file(self, folder: int, name: str) -> int:
        """A descriptor of a file in the opened folder, made when it is absent. InfraError: it is no file of ours."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        while True:
            try:
                # Not O_CREAT on what is there: in a sticky folder the kernel then refuses others' files (fs.protected_regular).
                fd = os.open(name, flags, dir_fd=folder)
                break
            except FileNotFoundError:
                with suppress(FileExistsError):
                    fd = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
                    os.fchmod(fd, _mode(folder))
                    break
            except OSError as error:
                raise self._unfit(f"{name}: {error.strerror}", name) from error
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            os.close(fd)
            raise self._unfit(f"{name} is not a file of one name", name)
        return fd

    def read(self, folder: int, name: str) -> int | None:
        """A descriptor for reading a file, None when there is none. InfraError as `file`."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unfit(f"{name}: {error.strerror}", name) from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise self._unfit(f"{name} is not a file", name)
        return fd

    def _make(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
                # As /tmp: whoever may use the lab's host may share it. A folder made before, for a group, stays as it is.
                self.path.chmod(0o1777)
        except OSError as error:
            raise self._unfit(error.strerror or str(error)) from error

    def _unfit(self, why: str, name: str = "") -> InfraError:
        return InfraError(
            f"the lab's locks cannot be kept: {why}",
            place=str(self.path / name) if name else str(self.path),
            remedy="look at it (ls -la), or name another folder for all users of this lab: `locks:` in lab.yaml",
        )


def _trouble(folder: int) -> str:
    """Why no locks can be kept in a folder, "" when they can."""
    status = os.fstat(folder)
    if status.st_mode & 0o1002 == 0o0002:
        return "everybody may remove others' files there (chmod 1777 makes it as /tmp is)"
    if not os.access(f"/proc/self/fd/{folder}", os.W_OK | os.X_OK):
        return "you may not write there"
    return ""


def _mode(folder: int) -> int:
    """Files are for those whom the folder is for: all, a group, or its owner."""
    mode = os.fstat(folder).st_mode
    return 0o666 if mode & 0o002 else 0o660 if mode & 0o020 else 0o600
