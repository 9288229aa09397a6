# SPDX-License-Identifier: GPL-2.0-or-later
"""A labgrid place: acquired and released, its resources as `labgrid-client show` prints them."""

import ast
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.errors import InfraError
from harness.labgrid.client import Client
from harness.power.switched import words

#: Seconds between two looks at a place that somebody else has; each is a process of labgrid's.
_LOOK = 3.0

_HEAD = re.compile(r"(?:Acquired|Matching) resource '(?P<name>[^']*)' \((?P<path>[^)]*)\):")


@dataclass(frozen=True)
class Resource:
    """name: in the place; cls: labgrid's class, "NetworkSerialPort"; params: its parameters. They come from an exporter."""

    name: str
    cls: str
    avail: bool = True
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """acquired: HOST/USER, "" when the place is free."""

    name: str
    acquired: str
    resources: tuple[Resource, ...]


class Place:
    """name: as the coordinator knows it."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    def show(self) -> Shown:
        """The place as it is now. ConfigError: there is none of this name; InfraError as `Client.run`."""
        shown = parse(self.client.run("show", place=self.name))
        if shown.name != self.name:  # labgrid takes a part of a name for the whole
            raise self.client.unknown(self.name)
        return shown

    def acquire(self, wait: float, waiting: Callable[[str], None] = lambda _text: None) -> bool:
        """Make the place ours. True when it was ours already: an earlier run on this host, by the same user, has left it.

        waiting: told who has it, once. InfraError: somebody else has it for longer than `wait` seconds, or labgrid says no.
        """
        deadline, told = time.monotonic() + wait, ""
        while True:
            by = self.show().acquired
            if by == self.client.me:
                return True
            try:
                if not by:
                    self.client.run("acquire", place=self.name)
                    return False
            except InfraError as error:
                if "already acquired" not in error.what:
                    raise
                by = "somebody who was quicker"
            if time.monotonic() >= deadline:
                raise self.held(by)
            if told != (told := f"its labgrid place {self.name} is acquired by {words(by)}"):
                waiting(told)
            time.sleep(max(0.0, min(_LOOK, deadline - time.monotonic())))

    def release(self) -> None:
        """Give the place back; nothing happens when it is not ours. InfraError."""
        try:
            # `release` would ask for the user only, not for the host.
            self.client.run("release-from", self.client.me, place=self.name)
        except InfraError as error:
            if "is not acquired" not in error.what:
                raise

    def held(self, by: str) -> InfraError:
        host, _, user = by.partition("/")
        return InfraError(
            f"the labgrid place {self.name} is acquired by {words(by)}",
            place=self.client.coordinator,
            remedy=f"wait longer (--wait, policy.wait), or ask {words(user or by)} to release it (on {words(host)}: "
            f"labgrid-client -p {self.name} release)",
        )

    def resource(self, cls: tuple[str, ...], name: str | None, what: str, key: str) -> Resource:
        """The place's resource of one of these classes. InfraError: it has none, or several and no name was given.

        what: "serial port"; key: where lab.yaml would name it.
        """
        shown = self.show()
        fits = [resource for resource in shown.resources if resource.cls in cls]
        found = [resource for resource in fits if name is None or resource.name == name]
        names = ", ".join(words(resource.name) for resource in fits)
        show = f"labgrid-client -x {self.client.coordinator} -p {self.name} show"
        if len(found) == 1 and found[0].avail:
            return found[0]
        if len(found) == 1:
            why, remedy = f"its {what} {words(found[0].name)} is not there just now", "look at the exporter's host"
        elif found:
            why, remedy = f"it has several of the kind {what}: {names}", f"name one in lab.yaml: {key}: {{name: …}}"
        elif fits:
            why, remedy = f"it has no {what} {name}, only {names}", f"correct {key}: {{name: …}} in lab.yaml"
        else:
            why, remedy = f"it has no {what}", "does its exporter run, and do the place's matches fit? "
        raise InfraError(
            f"the labgrid place {self.name} cannot be used: {why}",
            place=self.client.coordinator,
            remedy=f"{remedy} ({show})",
        )


def parse(text: str) -> Shown:
    """What `show` prints. Lines of another kind are passed over; a resource that cannot be read is left out."""
    name = acquired = ""
    resources: list[Resource] = []
    head: re.Match[str] | None = None
    block: list[str] = []

    def finish() -> None:
        if head is not None and (resource := _resource(head["name"], "\n".join(block))) is not None:
            resources.append(resource)

    for line in text.splitlines():
        if not line.startswith(" "):
            finish()
            head, block = _HEAD.fullmatch(line), []
            if found := re.fullmatch(r"Place '(.*)':", line):
                name = found[1]
        elif head is not None:
            block.append(line)
        elif found := re.fullmatch(r"  acquired: (.*)", line):
            acquired = "" if found[1] == "None" else found[1]
    finish()
    return Shown(name, acquired, tuple(resources))


def _resource(name: str, text: str) -> Resource | None:
    try:
        row = ast.literal_eval(text.strip())
        params = row.get("params")
        return Resource(name, str(row["cls"]), bool(row.get("avail")), dict(params) if isinstance(params, dict) else {})
    except (ValueError, SyntaxError, TypeError, KeyError, AttributeError, RecursionError, MemoryError):
        return None
