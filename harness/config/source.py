# SPDX-License-Identifier: GPL-2.0-or-later
"""A YAML text as plain data that remembers where everything stands.

ruamel.yaml parses; the data is built here from its nodes, because a constructor throws away what the mistakes need:
the position of every key, and how a number was spelt.
"""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from harness.config.mistakes import LabFileError, Mistake, plain, show

Path = tuple[str | int, ...]

#: A lab of 100 boards is 40 kB. More is not a lab, and the parser needs seconds for a megabyte.
LARGEST = 256 * 1024
_MOST_VALUES = 20_000
_DEEPEST = 24
#: Open brackets at any place, quotes and comments not looked at: the parser takes seconds for thousands of them.
_MOST_OPEN = 200

_TAG = "tag:yaml.org,2002:"
_TRUE = {"true", "yes", "on", "y"}


@dataclass(frozen=True)
class Position:
    """Line and column, both from 1."""

    line: int
    column: int


@dataclass
class Tree:
    """data: dicts with text keys, lists and scalars; keys, values: where each path's key and value start; spelt: how
    a scalar that is not text stands in the file."""

    file: str
    data: Any = None
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    spelt: dict[Path, str] = field(default_factory=dict)

    def at_value(self, path: Path) -> Position:
        """Start of the value at `path`; of the nearest thing around it when there is no such value."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Position(1, 1))

    def at_key(self, path: Path) -> Position:
        """Start of the key at `path`; of the value when it has none."""
        return self.keys.get(path) or self.at_value(path)

    def get(self, path: Path) -> Any:
        """The value at `path`, None when there is none."""
        data = self.data
        for step in path:
            inside = isinstance(data, dict) or (isinstance(data, list) and isinstance(step, int))
            try:
                data = data[step] if inside else None
            except (KeyError, IndexError):
                return None
        return data

    def section(self, path: Path) -> dict[str, Any]:
        """The mapping at `path`; empty when something else, or nothing, is there."""
        found = self.get(path)
        return found if isinstance(found, dict) else {}

    def mistake(self, position: Position, path: Path, what: str, instead: str) -> Mistake:
        return Mistake(self.file, position.line, position.column, dotted(path), what, instead)


def dotted(path: Path) -> str:
    """("boards", "a", "labels", 0) -> "boards.a.labels[0]"; safe for a terminal."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{plain(step, 40)}" for step in path)
    return text.removeprefix(".")


def parse(text: str, file: str) -> tuple[Tree, list[Mistake]]:
    """Text to tree, and the mistakes of form (duplicate keys, tags …). LabFileError when it is not YAML at all."""
    builder = _Builder(Tree(file))
    node = _compose(text, file)
    if node is not None:
        builder.tree.data = builder.build(node, (), 0)
    return builder.tree, builder.mistakes


def _compose(text: str, file: str) -> Node | None:
    opened = 0
    for bracket in re.finditer(r"[\[\]{}]", text):
        opened += 1 if bracket[0] in "[{" else -1
        if opened > _MOST_OPEN:
            start = bracket.start()
            line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
            raise _not_yaml(file, line, column, "brackets are nested too deep", "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # a reused anchor is not worth a word, and under pytest it would be an error
            return YAML(typ="rt", pure=True).compose(text)  # type: ignore[no-any-return]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        problem = " ".join(str(part).strip() for part in (error.context, error.problem) if part)
        raise _not_yaml(file, line, column, problem, _line_of(text, line)) from None
    except ReaderError as error:
        position = min(error.position, len(text) - 1)
        line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
        raise _not_yaml(file, line, column, f"control character U+{ord(text[position]):04X}", "") from None
    except RecursionError:
        raise _not_yaml(file, 1, 1, "it is nested too deep", "") from None
    except Exception as error:  # hostile text finds holes in the parser (\UFFFFFFFF, %YAML 99…): not ours
        raise _not_yaml(
            file, 1, 1, f"the YAML parser gave up ({type(error).__name__}: {plain(str(error))})", ""
        ) from None


def _line_of(text: str, line: int) -> str:
    lines = text.splitlines()
    return lines[line - 1] if 0 < line <= len(lines) else ""


def _not_yaml(file: str, line: int, column: int, problem: str, source: str) -> LabFileError:
    problem = plain(problem, 200)
    instead = "look at this line and the one above it: a missing colon, quote or bracket, or other indentation"
    indentation = source[: len(source) - len(source.lstrip())]
    if "\t" in indentation or "'\\t'" in problem or "tab" in problem.split():
        instead = "indent with spaces: YAML does not allow tabs"
    elif "mapping values are not allowed" in problem:
        instead = 'one "key: value" per line; quote a text that holds ": "'
    elif "expected a single document" in problem:
        instead = "one lab per file: remove the line --- and what follows it"
    elif "undefined alias" in problem:
        instead = "define the &anchor above its *alias, or quote a text that starts with *"
    elif "control character" in problem:
        instead = "remove that character (it is not visible in most editors)"
    elif "nested" in problem:
        instead = "a lab needs no more than a handful of levels"
    return LabFileError.of([Mistake(file, line, column, "", f"this is not YAML: {problem}", instead)])


class _Builder:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.mistakes: list[Mistake] = []
        self._count = 0

    def build(self, node: Node, path: Path, depth: int) -> Any:
        self._count += 1
        here = Position(node.start_mark.line + 1, node.start_mark.column + 1)
        if self._count > _MOST_VALUES or depth > _DEEPEST:
            # An alias bomb, or an anchor that holds itself: either grows without end while the file stays small.
            what = (
                f"more than {_MOST_VALUES} values" if depth <= _DEEPEST else f"nested more than {_DEEPEST} levels deep"
            )
            instead = "remove the &anchors and *aliases that multiply each other, or that hold themselves"
            raise LabFileError.of([self.tree.mistake(here, path[:3], f"{what} when aliases are followed", instead)])
        if isinstance(node, ScalarNode) and node.value == "" and path in self.tree.keys:
            here = self.tree.keys[path]  # an empty value "stands" at the next token, lines below
        self.tree.values[path] = here
        if isinstance(node, MappingNode):
            self._tag(node, "map", here, path)
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            self._tag(node, "seq", here, path)
            return [self.build(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
        return self._scalar(node, here, path) if isinstance(node, ScalarNode) else None

    def _mapping(self, node: MappingNode, path: Path, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: list[MappingNode] = []
        for key, value in node.value:
            here = Position(key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, ScalarNode):
                self._say(here, path, "a key must be a plain word", "write key: value")
                continue
            if key.tag == f"{_TAG}merge":
                merged += self._merged(value, here, path)
                continue
            name, step = str(key.value), (*path, str(key.value))
            if name in data:
                first = self.tree.keys[step]
                self._say(
                    here, step, f"the key stands here a second time (first in line {first.line})", "remove one of them"
                )
                continue
            self.tree.keys[step] = here
            data[name] = self.build(value, step, depth + 1)
        for other in merged:
            self._count += 1
            for name, value in self._without(other, data, path, depth).items():
                data.setdefault(name, value)
        return data

    def _without(self, other: MappingNode, own: dict[str, Any], path: Path, depth: int) -> dict[str, Any]:
        """The merged mapping built at `path`, without the keys that are there already: own keys win over merged."""
        kept = [(key, value) for key, value in other.value if str(key.value) not in own]
        view = MappingNode(other.tag, kept, other.start_mark, other.end_mark)
        return self._mapping(view, path, depth + 1) if depth <= _DEEPEST else self.build(other, path, depth + 1)

    def _merged(self, value: Node, here: Position, path: Path) -> Iterator[MappingNode]:
        for node in value.value if isinstance(value, SequenceNode) else [value]:
            if isinstance(node, MappingNode):
                yield node
            else:
                self._say(here, path, "<< merges mappings only", "write <<: *anchor of a mapping")

    def _scalar(self, node: ScalarNode, here: Position, path: Path) -> Any:
        text = str(node.value)
        kind = str(node.tag or "").removeprefix(_TAG)
        if node.style is not None or kind in {"str", "timestamp", "merge", "value"}:
            # Quoted, or text: also a date, which stays as it is spelt.
            self._tag(node, kind if kind in {"timestamp", "merge", "value"} else "str", here, path)
            return text
        self.tree.spelt[path] = text
        match kind:
            case "null":
                return None
            case "bool":
                return text.lower() in _TRUE
            case "int" | "float":
                return _number(text)
        self.tree.spelt.pop(path)
        self._tag(node, "str", here, path)
        return text

    def _tag(self, node: Node, kind: str, here: Position, path: Path) -> None:
        if node.tag is not None and str(node.tag) != f"{_TAG}{kind}":
            self._say(here, path, f"the tag {show(str(node.tag).replace(_TAG, '!!'))} means nothing here", "remove it")

    def _say(self, here: Position, path: Path, what: str, instead: str) -> None:
        self.mistakes.append(self.tree.mistake(here, path, what, instead))


def _number(text: str) -> int | float | str:
    """As YAML 1.2 reads it; the text itself when it cannot be one after all."""
    digits = text.replace("_", "").lower()
    for base, prefix in ((16, "0x"), (8, "0o"), (2, "0b")):
        if digits.lstrip("+-").startswith(prefix):
            try:
                return int(digits, base)
            except ValueError:
                return text
    for read in (int, float):
        try:
            return read(digits.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            continue
    return text
