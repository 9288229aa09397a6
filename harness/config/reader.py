# SPDX-License-Identifier: GPL-2.0-or-later
"""`load(path)`: from a file's bytes to a LabConfig, or to all of its mistakes at once."""

import difflib
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.config.crosscheck import crosscheck
from harness.config.explain import explain
from harness.config.files import NotAFileError, open_regular
from harness.config.lab import LabConfig
from harness.config.mistakes import LabFileError, Mistake
from harness.config.source import LARGEST, Tree, parse


def load(path: str | os.PathLike[str]) -> LabConfig:
    """Read and check a lab. LabFileError with every mistake when it cannot be used."""
    path = Path(path)
    lab = loads(_text(path), file=str(path), folder=path.absolute().parent)
    lab._path = str(path)
    return lab


def loads(text: str, *, file: str = "lab.yaml", folder: Path | None = None) -> LabConfig:
    """As `load`, of a text. file: its name in mistakes; folder: where relative paths start."""
    tree, mistakes = parse(text, file)
    if not isinstance(tree.data, dict):
        raise LabFileError.of([*mistakes, _no_lab(tree)])
    # `x-…` keys at the top hold anchors.
    tree.data = {key: value for key, value in tree.data.items() if not key.startswith("x-")}
    mistakes += crosscheck(tree)
    lab = None
    try:
        lab = LabConfig.model_validate(tree.data, context={"folder": folder})
    except ValidationError as error:
        mistakes += explain(error, tree)
    if lab is None or mistakes:
        raise LabFileError.of(mistakes)
    return lab


def _no_lab(tree: Tree) -> Mistake:
    what = "the file is empty" if tree.data is None else "the file holds no `key: value` lines"
    return Mistake(tree.file, 1, 1, "", what, "start with `version: 1`, as the shipped lab.yaml does")


def _text(path: Path) -> str:
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        what = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise LabFileError.of([Mistake(str(path), line, column, "", what, "save the file as UTF-8")]) from None
    return text


def read_bytes(path: Path) -> bytes:
    """The file's bytes. LabFileError when it is missing, unreadable, no file or too large."""

    def refuse(what: str, instead: str) -> LabFileError:
        return LabFileError.of([Mistake(str(path), 0, 0, "", what, instead)])

    try:
        file, _mode = open_regular(path)
        with file:
            data = file.read(LARGEST + 1)
    except NotAFileError as error:
        if error.is_folder:
            raise refuse("this is a folder", f"name the file in it: {path / 'lab.yaml'}") from None
        raise refuse("this is not a regular file", "name a lab.yaml") from None
    except FileNotFoundError:
        raise refuse("there is no such file", _nearest(path)) from None
    except (OSError, ValueError) as error:
        reason: Any = getattr(error, "strerror", None) or error
        raise refuse(f"the file cannot be read: {reason}", "check its owner and mode: `ls -l`") from None
    if len(data) > LARGEST:
        raise refuse(
            f"the file is larger than {LARGEST // 1024} KiB", "a lab of 100 boards is about 40: is this a lab.yaml?"
        )
    return data


def _nearest(path: Path) -> str:
    try:
        beside = [entry.name for entry in path.parent.iterdir() if entry.suffix in {".yaml", ".yml"}]
    except OSError:
        return "check the path"
    near = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.5) or beside[:1]
    return f"did you mean {path.parent / near[0]}?" if near else "name your lab's file with --lab FILE"
