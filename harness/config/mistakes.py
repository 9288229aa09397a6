# SPDX-License-Identifier: GPL-2.0-or-later
"""A mistake in lab.yaml, and the error that carries all of them."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import ConfigError

#: A file of nonsense has a mistake on every line: nobody reads more than this many.
_SHOWN = 50


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake. line and column count from 1; both are 0 when the file itself is the mistake.

    path: where in the structure, "boards.pi4-a.mac", "" for the whole file; what: one sentence; instead: what to write
    or to do, an imperative, may hold several lines.
    """

    file: str
    line: int
    column: int
    path: str
    what: str
    instead: str

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}" + (f"\n    -> {self.instead}" if self.instead else "")

    @property
    def sentence(self) -> str:
        """Path and what, without the place."""
        return f"{self.path}: {self.what}" if self.path else self.what


class LabFileError(ConfigError):
    """lab.yaml cannot be used. `mistakes` holds all that was found, in the order of the file."""

    def __init__(self, what: str, *, place: str = "", remedy: str = "", mistakes: Sequence[Mistake] = ()) -> None:
        super().__init__(what, place=place, remedy=remedy)
        self.mistakes: list[Mistake] = list(mistakes)

    @classmethod
    def of(cls, found: Iterable[Mistake]) -> "LabFileError":
        """The error for at least one mistake. Several are listed in `what`, one is told as any other error is."""
        mistakes = sorted(set(found))
        first = mistakes[0]
        if len(mistakes) == 1:
            return cls(first.sentence, place=first.place, remedy=first.instead, mistakes=mistakes)
        lines = [f"{len(mistakes)} mistakes"]
        lines += [f"  {str(mistake).replace(chr(10), chr(10) + '  ')}" for mistake in mistakes[:_SHOWN]]
        if len(mistakes) > _SHOWN:
            lines.append(f"  ... and {len(mistakes) - _SHOWN} more")
        return cls("\n".join(lines), place=first.file, mistakes=mistakes)


def show(value: object, limit: int = 60) -> str:
    """A value from the file, safe for a terminal: quoted, control characters escaped, cut to `limit` characters."""
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return "'" + "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text) + "'"


def plain(text: str, limit: int = 120) -> str:
    """As `show`, without the quotes: for paths and names in a sentence."""
    return show(text, limit)[1:-1]


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to `word`, None when none is near. Upper case and - for _ are forgiven."""
    names = {name.casefold().replace("-", "_"): name for name in known}
    near = difflib.get_close_matches(word[:64].casefold().replace("-", "_"), names, n=1, cutoff=0.6)
    return names[near[0]] if near else None


def suggest(word: str, known: Iterable[str], *, none: str = "") -> str:
    """What to write instead of an unknown word: the nearest one, and all known ones; `none` when there are no known."""
    names = sorted(known)
    if not names:
        return none
    near = did_you_mean(word, names)
    listed = ", ".join(plain(name) for name in names[:20]) + (", …" if len(names) > 20 else "")
    if near is None:
        return f"write one of: {listed}" if len(names) > 1 else f"write {plain(names[0])}"
    return f"did you mean {plain(near)}?" + (f" Known: {listed}" if len(names) > 1 else "")
