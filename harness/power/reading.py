# SPDX-License-Identifier: GPL-2.0-or-later
"""How a state is read out of what gear answers: by a path into JSON, or by a regular expression."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.power.port import Silent, State
from harness.power.switched import words


@dataclass(frozen=True)
class Reader:
    """json: keys and numbers with dots ("relays.0.ison"), "" for the whole text. on, off: regular expressions that the value (as
    JSON writes it: true, "ON" without quotes) matches as a whole, or, without `json`, that are found in the text.
    """

    on: str
    off: str
    json: str = ""

    def state(self, text: str, secrets: Iterable[str] = ()) -> State:
        """ "unknown" when neither or both fit. Silent: there is no such value."""
        value = at(text, self.json, secrets) if self.json else text
        match = re.fullmatch if self.json else re.search
        is_on, is_off = match(self.on, value) is not None, match(self.off, value) is not None
        if is_on == is_off:
            return "unknown"
        return "on" if is_on else "off"


def at(text: str, path: str, secrets: Iterable[str] = ()) -> str:
    """The value at `path` as JSON writes it, a text without its quotes. Silent: there is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Silent(f"the answer is not JSON: {words(text, secrets)!r}") from None
    for step in path.split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise Silent(f"the answer has no {path}: {words(text, secrets)!r}")
    return value if isinstance(value, str) else json.dumps(value)
