# SPDX-License-Identifier: GPL-2.0-or-later
"""What a row of the milestone tables is."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """A console line that means something.

    key: a literal that the text must hold, tested first (`in` is 40 ns, a pattern is not); pattern: linear, every
    repetition bounded, matched at the start of the text behind its prefixes, or anywhere with `anywhere`; named
    groups become fields ("" when absent), `fields` are added as they are; fix: turns raw fields into better ones;
    once: only the first with the same fields is told, until a kernel starts anew; source: where the line is known
    from.
    """

    name: str
    key: str
    pattern: re.Pattern[str]
    source: str = ""
    anywhere: bool = False
    once: bool = False
    fields: Mapping[str, str] | None = None
    fix: Callable[[Fields], Fields] | None = None

    def match(self, body: str) -> Fields | None:
        """The fields, or None when `body` is not this milestone."""
        found = self.pattern.search(body) if self.anywhere else self.pattern.match(body)
        if found is None:
            return None
        fields = {name: value or "" for name, value in found.groupdict().items()}
        if self.fields:
            fields.update(self.fields)
        return self.fix(fields) if self.fix else fields


def rule(
    name: str,
    key: str,
    pattern: str,
    source: str = "",
    /,
    *,
    anywhere: bool = False,
    once: bool = False,
    fix: Callable[[Fields], Fields] | None = None,
    **fields: str,
) -> Rule:
    """A row; `**fields` are constant fields of the milestone."""
    return Rule(name, key, re.compile(pattern), source, anywhere, once, fields or None, fix)
