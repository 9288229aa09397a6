# SPDX-License-Identifier: GPL-2.0-or-later
"""Console lines -> milestones: what a board says about its own boot, for every model and release known.

The rows stand in `table_firmware` (boot ROM to hand-over), `table_network` (what a bootloader says of it), `table_kernel` and
`table_system` (initramfs to login). Names are stable and dotted; times are those of the lines. Any text is taken: a line that
means nothing gives no milestone, none raises.
"""

import re
from collections.abc import Iterable

from harness.boot.events import Milestone
from harness.console import table_firmware, table_kernel, table_network, table_storage, table_system
from harness.console.lines import Line
from harness.console.rule import Fields, Rule
from harness.masking import masked

RULES: tuple[Rule, ...] = (
    table_firmware.RULES + table_network.RULES + table_kernel.RULES + table_storage.RULES + table_system.RULES
)

#: Every milestone that a console can have.
NAMES = frozenset(rule.name for rule in RULES)


def _any_of(literals: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds any of `literals`; grouped by their first character it is four times as fast as one by one."""
    rest: dict[str, list[str]] = {}
    for literal in sorted(set(literals)):
        rest.setdefault(literal[0], []).append(re.escape(literal[1:]))
    return re.compile("|".join(f"{re.escape(first)}(?:{'|'.join(others)})" for first, others in rest.items()))


#: Looked for first: most lines hold no key and cost no more than this.
_ANY_KEY = _any_of(rule.key for rule in RULES)

#: What may stand before a line's own text: seconds since power-on (EEPROM bootloaders since 2024-05-17), the
#: VideoCore's message stamp, a syslog prefix, the kernel's stamp with or without the caller.
_PREFIX = re.compile(
    r"\s{0,8}"
    r"(?:\d{1,4}\.\d\d\s{1,8})?"
    r"(?:MESS:\d\d:\d\d:\d\d\.\d{6}:\d{1,2}: {0,2})?"
    r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S{1,64} (?:kernel|systemd\[1\]|[\w-]{1,32}\[\d{1,7}\]): )?"
    r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S{0,16} \S{1,64} kernel: )?"
    r"(?:<\d{1,3}>)?"
    r"(?:\[ {0,5}\d{1,9}\.\d{6}\](?:\[ {0,8}[TC]\d{1,8}\])? ?)?"
    r"\s{0,40}"
)

#: Characters of a line that are kept in a milestone's text.
TEXT = 500


def _shown(fields: Fields) -> Fields:
    """What a command line among the fields says, without its secrets."""
    return {key: masked(value) for key, value in fields.items()}


class Milestones:
    """Feed it lines in their order; it tells which of them are milestones."""

    def __init__(self) -> None:
        self._partial: tuple[int, str, frozenset[str]] | None = None
        self._told: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
        self._interface: Fields = {}
        self._login_seen = False

    def feed(self, line: Line) -> list[Milestone]:
        """Milestones of one line; a prompt that was told before its line was complete is not told again."""
        found = self._match(line.text)
        if line.partial:
            self._partial = (line.number, line.text, frozenset(name for name, _ in found))
        elif self._partial is not None:
            number, text, names = self._partial
            if number == line.number and line.text.startswith(text.rstrip()):
                found = [item for item in found if item[0] not in names]
            self._partial = None
        text = masked(line.text[:TEXT]) if found else ""
        return [Milestone(line.t, line.number, name, text, _shown(fields)) for name, fields in found]

    def feed_line(self, t: float, number: int, text: str) -> list[Milestone]:
        """The same for a complete line that did not come from a `LineSplitter`."""
        return self.feed(Line(number, t, text, 0))

    def _match(self, text: str) -> list[tuple[str, Fields]]:
        candidates = [rule for rule in RULES if rule.key in text] if _ANY_KEY.search(text) else []
        if not candidates and not self._login_seen:
            return []
        prefix = _PREFIX.match(text)
        body = text[prefix.end() :] if prefix else text
        found: list[tuple[str, Fields]] = []
        for rule in candidates:
            fields = rule.match(body)
            if fields is not None and self._fresh(rule, fields):
                found.append((rule.name, self._follow(rule.name, fields)))
        if self._login_seen and text.startswith(("# ", "$ ")) and not any(name == "shell.prompt" for name, _ in found):
            # A bare prompt (dash, busybox) is a shell's only where a login went before; elsewhere "# " is a comment.
            found.append(("shell.prompt", {}))
        return found

    def _fresh(self, rule: Rule, fields: Fields) -> bool:
        if not rule.once:
            return True
        seen = (rule.name, tuple(sorted(fields.items())))
        if seen in self._told:
            return False
        self._told.add(seen)
        return True

    def _follow(self, name: str, fields: Fields) -> Fields:
        """Keep what a later line needs, and give a line what earlier ones said."""
        if name in {"kernel.start", "bootloader.banner"}:
            self._told.clear()
            self._interface = {}
            self._login_seen = False
        elif name == "login.prompt":
            self._login_seen = True
        elif name in {"initramfs.ip_request", "initramfs.ip_complete"}:
            self._interface.update({key: value for key, value in fields.items() if value})
        elif name == "initramfs.ip_config":
            return {**{"ifname": "", "server": ""}, **self._interface, **{k: v for k, v in fields.items() if v}}
        return fields
