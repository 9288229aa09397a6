# SPDX-License-Identifier: GPL-2.0-or-later
"""Pseudo-terminals: one that has gone never returns, but its name does, at once, as somebody else's.

The kernel gives the lowest free number (pts(4)): whoever opens /dev/pts/3 again may read another board's console, or what a
person types into a new terminal. Only a link that its program has made anew (socat's `link=`) leads to a new one of its own.
"""

import os
import stat
from pathlib import Path

_FOLDER = "/dev/pts/"
_LONGEST = 40  # links in a row, as the kernel follows them

Trail = tuple[tuple[int, int], ...]


def trail(name: str) -> Trail | None:
    """The links that lead from `name` to a pseudo-terminal, as (inode, changed in ns); none when it is one itself.

    None for what is no pseudo-terminal: another device, a URL, a link that was taken away. The terminal need not be there.
    """
    if not os.path.realpath(name).startswith(_FOLDER):
        return None
    links, at = [], Path(name)
    for _ in range(_LONGEST):
        try:
            found = at.lstat()
            if not stat.S_ISLNK(found.st_mode):
                break
            links.append((found.st_ino, found.st_ctime_ns))
            at = at.parent / at.readlink()
        except OSError:  # it leads nowhere just now
            break
    return tuple(links)
