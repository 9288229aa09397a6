# SPDX-License-Identifier: GPL-2.0-or-later
"""pydantic's errors as mistakes: where they stand in the file, and what to write instead."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from harness.config.gear import power_drivers
from harness.config.lab import LabConfig
from harness.config.mistakes import Mistake, did_you_mean, plain, show, suggest
from harness.config.source import Path, Position, Tree

_NUMBERS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
}
_BOUNDS = {"greater_than": "more than {gt}", "greater_than_equal": "{ge} or more", "less_than_equal": "{le} or less"}


@dataclass(frozen=True)
class _Spot:
    """What a pydantic location means. path: in the file; owner: the section that it is in; field: its field there;
    around: the field whose mapping or list it is an entry of; is_key: a key of a mapping, not its value; kind: for one
    of several sections, the name of the key that selects, and tags: its possible values."""

    path: Path
    owner: type[BaseModel]
    field: FieldInfo | None = None
    around: FieldInfo | None = None
    is_key: bool = False
    kind: str = ""
    tags: tuple[str, ...] = ()


def explain(error: ValidationError, tree: Tree) -> Iterator[Mistake]:
    """One mistake per error. The input is never copied into a message of a secret."""
    details = [(detail, _spot(detail["loc"])) for detail in error.errors(include_url=False)]
    # A misspelt key is one mistake: that the right one is missing follows from it.
    misspelt = {_meant(spot) for detail, spot in details if detail["type"] == "extra_forbidden"}
    for detail, spot in details:
        if detail["type"] == "missing" and spot.path in misspelt:
            continue
        position, path, what, instead = _tell(detail, spot, tree)
        yield tree.mistake(position, path, what, instead)


def _meant(spot: _Spot) -> Path:
    return (*spot.path[:-1], did_you_mean(str(spot.path[-1]), spot.owner.model_fields) or "")


def _tell(detail: ErrorDetails, spot: _Spot, tree: Tree) -> tuple[Position, Path, str, str]:
    """Position, path, what, instead."""
    kind, given, context, path = detail["type"], detail["input"], detail.get("ctx", {}), spot.path
    if kind == "missing":
        return tree.at_key(path[:-1]), path, "is missing", f"add {_example(spot)}"
    if kind == "extra_forbidden":
        return tree.at_key(path), path[:-1], *_unknown(str(path[-1]), spot.owner)
    if kind.startswith("union_tag"):
        return _tag(given, spot, tree)
    here = tree.at_key(path) if spot.is_key else tree.at_value(path)
    if kind == "mistake":
        here = tree.at_value((*path, *context["at"])) if context.get("at") else here
        return here, path, detail["msg"], str(context.get("instead", ""))
    return here, path, *_value(detail, spot, tree)


def _unknown(word: str, owner: type[BaseModel]) -> tuple[str, str]:
    """What and instead, of a key that a section does not know, or knows well and does not take."""
    for name, what in (("NOT_EMULATED", "is not emulated"), ("NOT_HERE", "does not belong here")):
        if word in (known := getattr(owner, name, {})):
            return f"{word} {what}", f"remove it: {known[word]}"
    return f"unknown key {show(word)}", suggest(word, owner.model_fields)


def _value(detail: ErrorDetails, spot: _Spot, tree: Tree) -> tuple[str, str]:  # noqa: PLR0911 - one per kind of value
    """What and instead, of a value of the wrong type or out of bounds."""
    kind, given, context, path = detail["type"], detail["input"], detail.get("ctx", {}), spot.path
    if given is None:
        return "is empty", f"write {_example(spot)}"
    if kind == "string_type":
        return _not_text(given, path, tree)
    spelt = _spelt(given, path, tree)
    if kind == "literal_error":
        return f"{spelt} is not one of the choices", suggest(str(given), _choices(spot.field))
    if kind in _NUMBERS:
        return f"{spelt} is not {_NUMBERS[kind]}", f"write {_range(spot.field, context, kind)}, without quotes"
    if kind in _BOUNDS:
        return f"{spelt} is out of range", f"write {_range(spot.field, context, kind)}"
    if kind in {"string_too_long", "string_too_short"}:
        return f"{spelt} is too {'long' if 'long' in kind else 'short'}", _length(kind, context)
    if kind in {"model_type", "model_attributes_type", "dict_type", "list_type"}:
        wanted = "a list" if kind == "list_type" else "`key: value` lines"
        return f"{spelt} stands where {wanted} should be", f"write {_example(spot)}"
    if kind == "too_short":
        return "is empty", f"write at least one: {_example(spot)}"
    if kind == "too_long":
        return f"has more than {context.get('max_length')} entries", "remove some"
    return plain(detail["msg"]), ""


def _tag(given: Any, spot: _Spot, tree: Tree) -> tuple[Position, Path, str, str]:
    """A section whose `kind:` or `driver:` selects among several."""
    path, word = spot.path, spot.kind
    if not isinstance(given, dict):
        what = "is empty" if given is None else f"{_spelt(given, path, tree)} stands where `key: value` lines should be"
        return tree.at_value(path), path, what, f"write {_example(spot)}"
    if word not in given:
        return tree.at_key(path), (*path, word), "is missing", f"add {word}: {' or '.join(spot.tags)}"
    chosen, path = given[word], (*path, word)
    return (
        tree.at_value(path),
        path,
        f"{_spelt(chosen, path, tree)} is not a known {word}",
        suggest(str(chosen), spot.tags),
    )


def _not_text(given: Any, path: Path, tree: Tree) -> tuple[str, str]:
    if isinstance(given, dict | list):
        return f"{_spelt(given, path, tree)} stands where a text should be", "write one value"
    spelt = plain(tree.spelt.get(path, str(given)))
    noun = "true or false" if isinstance(given, bool) else "a number"
    key = "" if isinstance(path[-1], int) else f"{plain(path[-1])}: "
    return f"YAML reads {spelt} as {noun}, not as text", f'quote it: {key}"{spelt}"'


def _spelt(given: Any, path: Path, tree: Tree) -> str:
    """How the value stands in the file."""
    if isinstance(given, dict | list):
        return "a mapping" if isinstance(given, dict) else "a list"
    return show(tree.spelt.get(path, str(given)))


def _range(field: FieldInfo | None, context: dict[str, Any], kind: str) -> str:
    limits = {name: value for name in ("gt", "ge", "le") if (value := _limit(field, name)) is not None}
    low, high = limits.get("ge", limits.get("gt")), limits.get("le")
    if low is not None and high is not None:
        return f"a number {'above' if 'ge' not in limits else 'from'} {low} to {high}"
    text = _BOUNDS.get(kind, "a number").format_map({"gt": 0, "ge": 0, "le": 0} | context)
    return text if text == "a number" else f"a number, {text}"


def _limit(field: FieldInfo | None, name: str) -> Any:
    """The bound `name` wherever the field's type carries it: in Annotated metadata, also behind `| None`."""
    found = [getattr(item, name) for item in _metadata(field) if getattr(item, name, None) is not None]
    return found[-1] if found else None


def _metadata(field: FieldInfo | None) -> Iterator[Any]:
    if field is None:
        return
    yield from field.metadata
    waiting = [field.annotation]
    while waiting:
        annotation = waiting.pop()
        if get_origin(annotation) is Annotated:
            inner, *metadata = get_args(annotation)
            waiting.append(inner)
            for item in metadata:
                yield from item.metadata if isinstance(item, FieldInfo) else [item]
        elif get_origin(annotation) in {Union, UnionType}:
            waiting += get_args(annotation)


def _length(kind: str, context: dict[str, Any]) -> str:
    return f"at most {context['max_length']} characters" if "long" in kind else "write at least one character"


def _choices(field: FieldInfo | None) -> list[str]:
    waiting, found = [field.annotation if field is not None else None], []
    while waiting:
        annotation = waiting.pop()
        if get_origin(annotation) is Literal:
            found += [str(choice) for choice in get_args(annotation)]
        else:
            waiting += get_args(annotation)
    return found


def _example(spot: _Spot) -> str:
    """`key: value` of the field, with an example value when it has one."""
    if not spot.path:
        return "version: 1 and the rest of a lab"
    step = "" if isinstance(spot.path[-1], int) else f"{plain(spot.path[-1])}: "
    examples: list[Any] = []
    if spot.field is not None:
        examples = list(spot.field.examples or _choices(spot.field))
    elif spot.around is not None and spot.around.examples:
        inside = spot.around.examples[0]  # of the mapping or list that the value stands in
        examples = list(inside.values()) if isinstance(inside, dict) else list(inside)
    return step + (flow(examples[0]) if examples else "…")


def flow(value: Any) -> str:
    """A value in YAML's flow style, as one would write it in lab.yaml; texts that YAML would misread are quoted."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and (
        (not value[:1].isalpha() and not value.startswith("/")) or set(value) & set(":#{}[],&*'\"")
    ):
        return f'"{value}"' if value != "1" else value
    return str(value)


def _spot(location: tuple[int | str, ...]) -> _Spot:
    """Walks the types along a pydantic location: the tags of unions are in it, which are no keys of the file."""
    current: Any = LabConfig
    spot = _Spot((), LabConfig)
    for step in location:
        if step == "[key]":
            return replace(spot, field=None, around=None, is_key=True)
        current = _bare(current)
        if isinstance(current, list):
            current = _member(current, str(step))
        elif isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(step))
            spot = _Spot((*spot.path, step), current, field)
            current = field.annotation if field is not None else None
        elif get_origin(current) in {dict, list}:
            spot = replace(spot, path=(*spot.path, step), field=None, around=spot.field)
            current = get_args(current)[-1]
    members = _bare(current)
    if not isinstance(members, list):
        return spot
    kind = "driver" if "driver" in members[0].model_fields else "kind"
    tags = [tag for member in members for tag in _choices(member.model_fields[kind])]
    # A power driver is a literal only when it is ours.
    others = power_drivers() if any(not _choices(member.model_fields[kind]) for member in members) else []
    return replace(spot, kind=kind, tags=tuple(dict.fromkeys([*tags, *others])))


def _bare(annotation: Any) -> Any:
    """Without Annotated and `| None`; a union of several sections as the list of them."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in {Union, UnionType}:
        members = [_bare(member) for member in get_args(annotation) if member is not type(None)]
        return members[0] if len(members) == 1 else members
    return annotation


def _member(members: list[Any], tag: str) -> Any:
    """The section of a union that `tag` selects: the one with that literal, else the one without any (a plug-in)."""
    for member in members:
        if any(tag in _choices(field) for name, field in member.model_fields.items() if name in {"kind", "driver"}):
            return member
    return members[-1]
