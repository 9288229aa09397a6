# SPDX-License-Identifier: GPL-2.0-or-later
"""Mistakes that show only when parts of lab.yaml are held against each other.

They are looked for in the tree, not in the typed model, so that they are found together with the mistakes that keep
the model from being built.
"""

from collections.abc import Callable, Iterator
from typing import Any

from harness.config.mistakes import Mistake, plain, show, suggest
from harness.config.source import Path, Tree

#: Parts of a board that are emulated all together or not at all, in the order in which they are told.
_PARTS = ("console", "wire", "server")


def crosscheck(tree: Tree) -> list[Mistake]:
    boards = {name: board for name, board in tree.section(("boards",)).items() if isinstance(board, dict)}
    return [
        *_references(tree, boards),
        *_duplicates(tree, boards),
        *_places(tree, boards),
        *_mixtures(tree, boards),
        *_two_servers_on_one_wire(tree, boards),
        *_two_boards_in_one_tftp_root(tree, boards),
    ]


def _references(tree: Tree, boards: dict[str, dict[str, Any]]) -> Iterator[Mistake]:
    for name, board in boards.items():
        for key, section in (("wire", "wires"), ("server", "servers")):
            wanted, known = board.get(key), tree.section((section,))
            if isinstance(wanted, str) and wanted not in known:
                path = ("boards", name, key)
                instead = suggest(wanted, known, none=f"add it: {section}: {{{plain(wanted)}: {{kind: emulated}}}}")
                what = f"there is no {key} {show(wanted)} in {section}:"
                yield tree.mistake(tree.at_value(path), path, what, instead)


def _duplicates(tree: Tree, boards: dict[str, dict[str, Any]]) -> Iterator[Mistake]:
    """What only one board can have."""

    def folded(value: Any) -> str | None:
        return value.strip().lower() if isinstance(value, str) else None

    def line(value: Any) -> str | None:
        found = [(key, value[key]) for key in ("port", "usb", "url") if key in value] if isinstance(value, dict) else []
        return repr(found) if found else None

    def outlet(value: Any) -> str | None:
        # An emulated port is each board's own; of a third-party driver the same keys mean the same outlet.
        # One of labgrid is its place's.
        shared = isinstance(value, dict) and value.get("driver") not in {"emulated", "labgrid"} and len(value) > 1
        return repr(sorted(value.items())) if shared else None

    wanted: tuple[tuple[Path, str, Callable[[Any], str | None]], ...] = (
        (("mac",), "MAC address", folded),
        (("serial_number",), "serial number", folded),
        (("console",), "console port", line),
        (("power",), "power port", outlet),
        (("place",), "labgrid place", lambda value: value if isinstance(value, str) else None),
    )
    for inner, noun, identity in wanted:
        first: dict[str, str] = {}
        for name in boards:
            path: Path = ("boards", name, *inner)
            same = identity(tree.get(path))
            if same is None:
                continue
            if same in first:
                what = f"the board {show(first[same])} has the same {noun}"
                yield tree.mistake(tree.at_value(path), path, what, f"give each board its own {noun}")
            first.setdefault(same, name)


def _places(tree: Tree, boards: dict[str, dict[str, Any]]) -> Iterator[Mistake]:
    """What only a labgrid place brings, where there is none."""
    for name, board in boards.items():
        here: Path = ("boards", name)
        if "place" in board:
            if not tree.section(("labgrid",)):
                what = "the lab has no labgrid coordinator"
                yield tree.mistake(
                    tree.at_key((*here, "place")),
                    (*here, "place"),
                    what,
                    "add labgrid: {coordinator: HOST:20408} at the top",
                )
            if tree.get((*here, "power", "driver")) == "emulated":
                what = "the board is emulated (power: {driver: emulated}), it is no place of labgrid"
                yield tree.mistake(tree.at_key((*here, "place")), (*here, "place"), what, "remove it")
            continue
        for part in ("power", "console"):
            path: Path = (*here, part, "driver")
            if tree.get(path) == "labgrid":
                what = "the board is no place of labgrid"
                yield tree.mistake(
                    tree.at_value(path), path, what, "add place: NAME to the board, or take another driver"
                )
        if _kind(tree, board, "wire") == "labgrid":
            what = f"the wire {show(board['wire'])} is that of a labgrid place, and the board is none"
            path = (*here, "wire")
            yield tree.mistake(tree.at_value(path), path, what, "add place: NAME to the board, or take another wire")


def _mixtures(tree: Tree, boards: dict[str, dict[str, Any]]) -> Iterator[Mistake]:
    """An emulated board has emulated power, console, wire and server; a real board has none of them."""
    for name, board in boards.items():
        driver = tree.get(("boards", name, "power", "driver"))
        if "place" in board and "power" not in board:
            driver = "labgrid"
        if not isinstance(driver, str):
            continue
        emulated = driver == "emulated"
        for part in _PARTS:
            path: Path = ("boards", name, part)
            kind = _kind(tree, board, part)
            if emulated and board.get(part) is None:
                instead = (
                    "add console: {driver: emulated}" if part == "console" else f"add {part}: NAME of an emulated one"
                )
                what = f"the board is emulated (power: {{driver: emulated}}) and has no {part}"
                yield tree.mistake(tree.at_key(path if part in board else ("boards", name)), path, what, instead)
            elif kind is not None and (kind == "emulated") != emulated:
                yield tree.mistake(tree.at_value(path), path, *_odd(part, emulated))
        if not emulated and "emulation" in board:
            path = ("boards", name, "emulation")
            yield tree.mistake(
                tree.at_key(path), path, "the board is real, its power port is not emulated", "remove it"
            )


def _odd(part: str, emulated: bool) -> tuple[str, str]:
    if emulated:
        return (
            f"the board is emulated (power: {{driver: emulated}}), but its {part} is real",
            f"make the {part} emulated too: an emulated board lives in namespaces of its own, no real gear reaches it",
        )
    return (
        f"the board is real (its power port is not emulated), but its {part} is emulated",
        f"name the {part} that the board really has, or remove it",
    )


def _kind(tree: Tree, board: dict[str, Any], part: str) -> str | None:
    """Kind of a board's part; None when it is absent or does not say (then that is a mistake of its own)."""
    if part == "console":
        kind = tree.get(
            ("boards", next(name for name, b in tree.section(("boards",)).items() if b is board), part, "driver")
        )
    else:
        reference = board.get(part)
        kind = tree.get((f"{part}s", reference, "kind")) if isinstance(reference, str) else None
    return kind if isinstance(kind, str) else None


def _two_servers_on_one_wire(tree: Tree, boards: dict[str, dict[str, Any]]) -> Iterator[Mistake]:
    """Two emulated servers on one wire would both answer every board's DISCOVER."""
    taken: dict[str, tuple[str, str]] = {}
    for name, board in boards.items():
        wire, server = board.get("wire"), board.get("server")
        if not (isinstance(wire, str) and isinstance(server, str)):
            continue
        if _kind(tree, board, "wire") != "emulated" or _kind(tree, board, "server") != "emulated":
            continue
        other, first = taken.setdefault(wire, (server, name))
        if other != server:
            path: Path = ("boards", name, "server")
            what = (
                f"the wire {show(wire)} has the server {show(other)} already (board {show(first)}): both would answer"
            )
            yield tree.mistake(
                tree.at_value(path), path, what, f"write {plain(other)}, or give this board a wire of its own"
            )


def _two_boards_in_one_tftp_root(tree: Tree, boards: dict[str, dict[str, Any]]) -> Iterator[Mistake]:
    """Files of the same names in one folder."""
    first: dict[Any, str] = {}
    for name, board in boards.items():
        path: Path = ("boards", name, "emulation", "boot_files")
        if tree.get(path) != "root" or not isinstance(board.get("server"), str):
            continue
        other = first.setdefault(board["server"], name)
        if other != name:
            what = f"the board {show(other)} of the same server has its boot files in the TFTP root already"
            yield tree.mistake(tree.at_value(path), path, what, "write folder: files of the same names would lie there")
