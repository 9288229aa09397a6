# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening a file that a user named: what was looked at is what is read, and nothing hangs."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotAFileError(OSError):
    """A folder, a pipe, a device: not a regular file. `is_folder` tells which."""

    def __init__(self, path: Path, *, is_folder: bool) -> None:
        super().__init__(f"{path} is not a regular file")
        self.is_folder = is_folder


def open_regular(path: Path) -> tuple[BinaryIO, int]:
    """The opened file and its mode bits (0o600 …). OSError when it cannot be opened, NotAFileError when it is no file,
    ValueError for a path that no system takes."""
    # O_NONBLOCK: opening a FIFO that nobody writes to must not hang the command.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise NotAFileError(path, is_folder=stat.S_ISDIR(mode))
    return os.fdopen(descriptor, "rb"), stat.S_IMODE(mode)


def why_no_file(path: Path) -> str:
    """What keeps a path from being a file that can be read, in words that follow its name; "" when it is one."""
    try:
        file, _mode = open_regular(path)
    except NotAFileError as error:
        return "is a folder" if error.is_folder else "is no regular file"
    except FileNotFoundError:
        return "is not there"
    except (OSError, ValueError, RuntimeError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    file.close()
    return ""
