# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a board really lost power: what its port says is about the port; console, link and PoE class are about the board."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import InfraError


@dataclass(frozen=True)
class Evidence:
    """name: what is looked at, "console silent". lost: True, the board has no power; False, it still lives; None, cannot tell."""

    name: str
    lost: Callable[[], bool | None]


@dataclass(frozen=True)
class Loss:
    """proved: True, some evidence says so and none against it; False, some says that the board lives; None: nobody can know."""

    proved: bool | None
    words: str


def power_loss(evidence: Sequence[Evidence]) -> Loss:
    """Ask all. One that cannot be asked (InfraError) cannot tell."""
    said: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for piece in evidence:
        try:
            said[piece.lost()].append(piece.name)
        except InfraError as error:
            said[None].append(f"{piece.name} ({error.what})")
    if said[False]:
        return Loss(False, f"not so: {', '.join(said[False])}")
    if said[True]:
        return Loss(True, ", ".join(said[True]))
    asked = f": {', '.join(said[None])} could not tell" if said[None] else ": nothing but the port itself was asked"
    return Loss(None, f"cannot know whether the board lost power{asked}")
