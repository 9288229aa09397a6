# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of what this machine has and lacks, for a tired person."""

import textwrap
from collections.abc import Iterable, Sequence

from harness.checks.probes import Check
from harness.config.mistakes import plain


def failed(checks: Iterable[Check]) -> list[Check]:
    """Those without which a boot cannot work."""
    return [check for check in checks if check.ok is False]


def format_table(checks: Sequence[Check], width: int = 100) -> str:
    """Plain text: one line per check, what to do below those that are not in order, and one apt line for all packages."""
    if not checks:
        return "nothing to check"
    words = {True: "ok", False: "MISSING", None: "note"}
    column = max(len(plain(check.name)) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{words[check.ok]:8}{plain(check.name):{column}}  {plain(check.found, 200)}")
        if check.ok is not True:
            for label, text in (("needed for", check.needed_for), ("do", check.remedy)):
                indent = " " * (10 + column)
                wrapped = textwrap.wrap(f"{label}: {plain(text, 1000)}", max(40, width - len(indent)))
                lines += [indent + line for line in wrapped] if text else []
    bad = failed(checks)
    packages = sorted({check.package for check in bad if check.package})
    lines.append("")
    if packages:
        lines.append(f"install: sudo apt-get install --no-install-recommends {' '.join(packages)}")
        lines.append("     or: script/setup, which also keeps their services from starting on this machine")
    lines.append(f"{len(bad)} of {len(checks)} missing" if bad else "nothing is missing")
    return "\n".join(lines)
