# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the cache lies, and whose its files are: those of the person who called, also under sudo."""

import os
import pwd
from pathlib import Path

from harness.errors import InfraError


def user() -> tuple[int, int, Path]:
    """uid, gid and home of the person who runs this, also under sudo."""
    try:
        entry = pwd.getpwuid(int(os.environ["SUDO_UID"])) if os.geteuid() == 0 else None
    except (KeyError, ValueError):
        entry = None
    if entry is None:
        return os.getuid(), os.getgid(), Path.home()
    return entry.pw_uid, entry.pw_gid, Path(entry.pw_dir)


def cache_folder() -> Path:
    """$PIBOOT_CACHE, else $XDG_CACHE_HOME/piboot, else ~/.cache/piboot of the invoking user (sudo's user, not root)."""
    if own := os.environ.get("PIBOOT_CACHE"):
        return Path(own).absolute()
    uid, _, home = user()
    # Under sudo XDG_CACHE_HOME, if it came through at all, may be root's.
    xdg = os.environ.get("XDG_CACHE_HOME") if uid == os.geteuid() else None
    return (Path(xdg) if xdg else home / ".cache") / "piboot"


def give_back(path: Path) -> None:
    """Gives a file or folder of the cache that we made under sudo to the user who called."""
    uid, gid, _ = user()
    if os.geteuid() == 0 and uid != 0:
        os.lchown(path, uid, gid)


def make_folder(path: Path) -> Path:
    """mkdir -p; all that is new belongs to the invoking user."""
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        for folder in new:
            give_back(folder)
    except OSError as error:
        raise InfraError(
            f"the cache folder cannot be made: {error.strerror}",
            place=str(path),
            remedy="set PIBOOT_CACHE to a folder that you may write",
        ) from error
    return path
