# SPDX-License-Identifier: GPL-2.0-or-later
"""README and docs: their links lead somewhere, their commands exist with these options, every page can be found."""

import re
import shlex
from pathlib import Path

import click
import pytest
import typer.main

from harness.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> list[str]:
    return [link for link in LINK.findall(CODE.sub("", prose(page))) if "://" not in link]


def commands(page: Path) -> list[list[str]]:
    """The words of each `piboot …` of a page, to the end of what the command itself sees."""
    text = page.read_text(encoding="utf-8")
    shell = [line for kind, block in FENCE.findall(text) if kind in ("sh", "text") for line in block.splitlines()]
    found = []
    for line in [*shell, *CODE.findall(prose(page).replace("\\|", "/"))]:
        match = re.match(r"(?:\$ )?(?:sudo )?(?:\.venv/bin/)?piboot ([a-z][^#<>|…]*)", line.strip())
        if match:
            found.append(shlex.split(match[1]))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_every_page_is_linked() -> None:
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page)}
    assert not [str(page.relative_to(ROOT)) for page in PAGES[1:] if page not in linked]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist_with_these_options(page: Path) -> None:
    wrong = []
    for words in commands(page):
        command: click.Command = typer.main.get_command(app)
        options: set[str] = {"--help"}
        for word in words:
            if word.startswith("-"):
                if word.partition("=")[0] not in options:
                    wrong.append(" ".join(words))
                continue
            group = getattr(command, "commands", {})
            if word in group:
                command = group[word]
                options |= {name for parameter in command.params for name in parameter.opts}
            elif group and command.name != "lab":
                wrong.append(" ".join(words))
    assert not wrong


def test_the_readme_shows_commands() -> None:
    """What the test above reads is there to be read."""
    assert len(commands(ROOT / "README.md")) >= 5
    assert len(links(ROOT / "README.md")) >= 10
