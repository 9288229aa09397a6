# SPDX-License-Identifier: GPL-2.0-or-later
"""A boot set's root as an ext4 image for block devices, made once, kept in the cache, copied for each board.

<cache>/roots/<kind>-<flavour>-<digest>.ext4
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from harness.errors import InfraError
from harness.images import BootSet, cache_folder
from harness.images.ext4 import make_image
from harness.images.folders import make_folder
from harness.images.recipe import source_digest
from harness.images.tools import remove, run

_HERE = Path(__file__).parent
_SOURCES = ("ext4.py", "root_image.py")
_IN_USE = 3600.0
_Completer = Callable[[BootSet, Path], None]


def root_image(
    images: BootSet, flavour: str, more: _Completer | None, sources: Sequence[str], *, cache: Path | None = None
) -> Path:
    """The image, never to be written to. Made first when it is not cached: a second for light, ten for debian (root needed).

    more: adds to a copy of the boot set's root; sources: of this package, what decides what it adds.
    Raises InfraError: no root, no network for its packages, no room.
    """
    recipe = source_digest(_HERE / name for name in (*_SOURCES, *(sources if more else ())))
    digest = hashlib.sha256(f"{images.key}\n{flavour}\n{recipe}".encode())
    folder = make_folder((cache or cache_folder()) / "roots")
    path = folder / f"{images.kind}-{flavour}-{digest.hexdigest()[:16]}.ext4"
    if not path.is_file():
        with FileLock(folder / "build.lock", timeout=900):
            if not path.is_file():
                _build(images, more, path)
                _prune(path)
    os.utime(path)
    return path


def _build(images: BootSet, more: _Completer | None, path: Path) -> None:
    if os.geteuid() != 0:
        raise InfraError(
            "making the root's image needs root: the files in it have many owners",
            remedy="run it once with sudo, e.g. sudo script/boot; later runs use the cache",
        )
    try:
        work = Path(tempfile.mkdtemp(prefix=".build-", dir=path.parent))
    except OSError as error:
        raise InfraError(f"the root's image cannot be kept: {error}", place=str(path.parent)) from error
    try:
        root = images.root
        if more is not None:
            root = work / "root"
            run(["cp", "--archive", images.root, root], "copying the root", deadline=300)
            more(images, root)
        make_image(root, work / "image")
        (work / "image").chmod(0o644)
        (work / "image").replace(path)
    except OSError as error:
        raise InfraError(
            f"the root's image cannot be made: {error}",
            place=str(path),
            remedy="free some space, or set PIBOOT_CACHE to another disk",
        ) from error
    finally:
        remove(work)


def _prune(path: Path) -> None:
    """Removes what older recipes made, and what killed builds left."""
    kind_and_flavour = path.name.rpartition("-")[0]
    for old in path.parent.glob(f"{kind_and_flavour}-*.ext4"):
        if old != path and time.time() - old.stat().st_mtime > _IN_USE:
            old.unlink(missing_ok=True)
    for left in path.parent.glob(".build-*"):
        remove(left)
