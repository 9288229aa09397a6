# SPDX-License-Identifier: GPL-2.0-or-later
"""The few system calls that Python 3.11 lacks: namespaces and mounts. Each raises OSError with the path that it was about."""

import ctypes
import os

CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare_net() -> None:
    """Put the calling thread into a new, empty network namespace."""
    _check(_libc.unshare(CLONE_NEWNET), "new network namespace")


def set_net(fd: int) -> None:
    """Put the calling thread into the network namespace that `fd` stands for."""
    _check(_libc.setns(fd, CLONE_NEWNET), "network namespace")


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _check(result, target)


def unmount(target: str, *, lazy: bool = False) -> None:
    """Unmount; lazy: take it out of the tree now, and let it go when its last user does."""
    _check(_libc.umount2(target.encode(), MNT_DETACH if lazy else 0), target)
