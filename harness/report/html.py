# SPDX-License-Identifier: GPL-2.0-or-later
"""`report.html`: one self-contained page of a run, for the morning after.

The page asks for nothing over any network, works without JavaScript (a small inline script sorts tables), and lets
nothing in that came over a wire or a console: Jinja2 escapes every value, `finalize` takes control characters out of
every value, and a Content-Security-Policy admits only this style sheet and this script, by their hashes.
"""

import base64
import hashlib
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

import harness
from harness.report import text
from harness.report.links import Link, link
from harness.report.options import option
from harness.report.runs import Boot, Run, load_run
from harness.report.svg import Picture
from harness.report.timeline import CLASSES, stage_title
from harness.report.view import BootView, boot_view
from harness.report.words import WHO

_TEMPLATES = Path(__file__).parent / "templates"
_LINES = 2000  # of a console, at most
_LINES_PAGE = 24_000  # of all consoles of a page: browsers stay quick below
_POLICY = "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'"
_FEW = 4  # boots that are all shown open
GLYPHS = {"passed": "✓", "late": "!", "failed": "✕", "infra": "⚡", "config": "✎", "unfinished": "…", "unreadable": "?"}


def write_report(run_folder: Path) -> Path:
    """Write `report.html` for the run in `run_folder`; the page's path. OSError when the folder cannot be read or written.

    A record that is missing, cut off or foreign is shown as such; none makes the report fail.
    """
    run = load_run(run_folder)
    page = render(run)
    target = run.folder / "report.html"
    # Written beside and moved: a reader, or a crash, never meets half a page.
    draft = target.with_name(f".report.{os.getpid()}.html")
    try:
        draft.write_text(page, encoding="utf-8", errors="backslashreplace")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def render(run: Run) -> str:
    """The page of `run` as text."""
    environment = _environment()
    lines = max(100, min(_LINES, _LINES_PAGE // max(1, len(run.boots))))
    boots: list[tuple[Boot, BootView | None, Markup]] = []
    for number, boot in enumerate(run.boots, 1):
        opened = len(run.boots) <= _FEW or boot.outcome not in ("passed", "late")
        boots.append(
            _boot(environment.get_template("boot.html.j2"), run, boot, f"b{number}", lines=lines, opened=opened)
        )
    longest = max((start + spent for _, view, _ in boots if view for _, start, spent in view.strip), default=0.0)
    style, script = _asset("report.css"), _asset("report.js")
    return environment.get_template("report.html.j2").render(
        run=run,
        boots=boots,
        strips=[_strip(view, longest) if view and view.strip else None for _, view, _ in boots],
        headline=headline(run),
        links=_run_links(run),
        logs=[link(run.folder, run.folder / log, log) for log in run.logs],
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        policy=_POLICY.format(_digest(style), _digest(script)),
        made=text.clock_time(datetime.now().astimezone().timestamp()),
        version=harness.__version__,
    )


def headline(run: Run) -> str:
    """The run in one sentence: what the morning's reader wants to know first."""
    total = len(run.boots)
    if not total:
        return "No board was booted"
    good = sum(boot.outcome in ("passed", "late") for boot in run.boots)
    late = sum(boot.outcome == "late" for boot in run.boots)
    lateness = f", {late} of them late" if late and total > 1 else ", but late" if late else ""
    if good == total:
        return (f"All {total} boards booted" if total > 1 else f"{run.boots[0].board} booted") + lateness
    if total == 1:
        return f"{run.boots[0].board}: {run.boots[0].words}"
    return f"{total - good} of {total} boards did not boot" + (f"; {late} came late" if late else "")


def _boot(
    template: Template, run: Run, boot: Boot, anchor: str, *, lines: int, opened: bool
) -> tuple[Boot, BootView | None, Markup]:
    """The boot's part of the page. Whatever a record holds, it costs at most its own part."""
    try:
        view = boot_view(run.folder, boot, anchor, lines)
        page = template.render(view=view, boot=boot, record=boot.record, open=opened)
    except Exception as error:  # named on the page, with its type
        problem = f"This record could not be shown ({type(error).__name__}: {text.one_line(str(error), 200)})."
        broken = Boot(boot.folder, boot.name, None, problem, model=boot.model)
        plain = boot_view(run.folder, broken, anchor, lines)
        page = template.render(view=plain, boot=broken, record=None, open=True)
        return broken, plain, Markup(page)  # noqa: S704 - the template escapes
    return boot, view, Markup(page)  # noqa: S704 - the template escapes


def _strip(view: BootView, longest: float) -> Picture:
    """The summary's small picture: a board's stages end to end, all boards on one scale."""
    picture = Picture("stages", 200, 14)
    for number, (stage, start, spent) in enumerate(view.strip):
        x, w = 200 * start / max(longest, 1e-6), 200 * spent / max(longest, 1e-6)
        shade = " alt" if number % 2 else ""
        picture.rect(
            x, 2, max(w - 0.8, 0.6), 10, f"bar {CLASSES[stage.verdict]}{shade}", title=stage_title(stage, view.zero)
        )
    return picture


def _run_links(run: Run) -> list[Link]:
    names = {"run.json": "run.json", "junit.xml": "JUnit XML", "reportlog.jsonl": "pytest log"}
    return [link(run.folder, run.folder / file, name) for file, name in names.items() if (run.folder / file).exists()]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "duration": text.duration,
        "budget": text.budget,
        "size": text.size,
        "rate": text.rate,
        "relative": text.relative,
        "clock": text.clock_time,
        "one_line": text.one_line,
        "option": lambda pair: option(*pair),
        "classes": _classes,
    }
    environment.globals |= {"glyphs": GLYPHS, "who": WHO, "stage_classes": CLASSES, "count": text.count}
    return environment


def _finalize(value: Any) -> Any:
    """Every value on its way into the page: no control characters. Markup is ours and was cleaned when it was made."""
    return text.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _classes(words: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(word for word in words if word.isalnum()))


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _digest(asset: str) -> str:
    """A CSP source for inline content (CSP level 3, 2.3.1: hash-source)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(asset.encode()).digest()).decode()
