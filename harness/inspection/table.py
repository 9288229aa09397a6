# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of a lab's gear: with lines and colours on a terminal, plain words anywhere else."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TextIO

from harness.inspection.seen import Seen
from harness.report import text
from harness.report.terminal import Shield, is_terminal, make_console

_WORDS = {True: "yes", False: "NO", None: "-"}
_COLOURS = {True: "green", False: "bold red", None: "dim"}


def format_rows(rows: Sequence[Seen], width: int = 100) -> str:
    """Plain text: a line for each piece of gear, and below it what it is, what it does and what to do."""
    lines = ["reachable  rights  gear"]
    for row in rows:
        lines.append(f"{_WORDS[row.reachable]:9}  {_WORDS[row.rights]:6}  {text.one_line(row.gear, 200)}")
        for label, said in (("is", row.identity), ("now", row.state), ("do", row.fix)):
            if said:
                wrapped = textwrap.wrap(f"{label}: {text.one_line(said, 1000)}", max(40, width - 19))
                lines += [" " * 19 + line for line in wrapped]
    return "\n".join(lines)


def print_rows(rows: Sequence[Seen], stream: TextIO) -> None:
    """To a stream, as fits it."""
    if not is_terminal(stream):
        stream.write(format_rows(rows) + "\n")
        return
    from rich.table import Table  # noqa: PLC0415 - for terminals only
    from rich.text import Text  # noqa: PLC0415

    shield = Shield(stream)
    table = Table(show_lines=False, expand=False, pad_edge=False)
    for heading in ("Gear", "Reachable", "Rights", "Identity", "Now", "What to do"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            Text(shield.fit(text.one_line(row.gear, 200))),
            *(Text(_WORDS[value], _COLOURS[value]) for value in (row.reachable, row.rights)),
            *(Text(shield.fit(text.one_line(said, 400))) for said in (row.identity, row.state)),
            Text(shield.fit(text.one_line(row.fix, 1000)), "yellow" if row.fix else ""),
        )
    make_console(shield, terminal=True).print(table)


def as_json(rows: Sequence[Seen]) -> list[dict[str, Any]]:
    return [{**asdict(row), "ok": row.ok} for row in rows]
