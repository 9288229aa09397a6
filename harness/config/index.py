# SPDX-License-Identifier: GPL-2.0-or-later
"""Names, models and labels of a lab's boards, from a cache: all that pytest needs to collect tests.

The cache is one small JSON file per lab file, valid as long as the lab file's bytes and the harness' version are the
same. A warm look-up imports neither pydantic nor ruamel.yaml (together about 0.3 s, more than an empty session).
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from harness import __version__

#: Changed when the meaning of the cache's content changes.
_FORMAT = 1
#: As LARGEST of harness.config.source: nothing larger was ever loaded, so nothing larger is in the cache.
_LARGEST = 256 * 1024


class BoardBrief(NamedTuple):
    """name: key in `boards:`; model: "pi4"; labels: further pytest marks."""

    name: str
    model: str
    labels: tuple[str, ...]


def board_index(path: str | os.PathLike[str], cache: str | os.PathLike[str] | None = None) -> list[BoardBrief]:
    """The boards of the lab file `path`, in its order; `cache`: folder to keep the answer in, made when it is absent.

    LabFileError when the file has mistakes: these are never cached. A cache that is broken, of another version or
    not writable is as good as none.
    """
    path = Path(path)
    key, kept = _key(path), _kept(path, cache)
    if key is not None and kept is not None:
        boards = _recall(kept, key)
        if boards is not None:
            return boards
    from harness.config.reader import load  # noqa: PLC0415 - the point of this module: only when the cache is cold

    boards = [BoardBrief(board.name, board.model, tuple(board.labels)) for board in load(path).boards.values()]
    # The key was taken before the file was read: a file that changed in between is looked up anew the next time.
    if key is not None and kept is not None and _key(path) == key:
        _remember(kept, key, boards)
    return boards


def _key(path: Path) -> str | None:
    """SHA-256 of the file's bytes and the version; None when the loader should say what is wrong with the file."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    return hashlib.sha256(f"{__version__}\n{_FORMAT}\n".encode() + content).hexdigest()


def _kept(path: Path, cache: str | os.PathLike[str] | None) -> Path | None:
    if cache is None:
        return None
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    return Path(cache) / f"boards-{name}.json"


def _recall(kept: Path, key: str) -> list[BoardBrief] | None:
    try:
        content = json.loads(kept.read_bytes())
        if content["key"] != key:
            return None
        return [BoardBrief(str(name), str(model), tuple(map(str, labels))) for name, model, labels in content["boards"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _remember(kept: Path, key: str, boards: list[BoardBrief]) -> None:
    new = kept.with_suffix(f".{os.getpid()}.new")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps({"key": key, "boards": boards}), encoding="utf-8")
        new.replace(kept)  # another session that reads now sees the old file or the new one
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
