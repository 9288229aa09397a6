# SPDX-License-Identifier: GPL-2.0-or-later
"""The digest of a recipe: what changes a set changes it, a better comment does not."""

from pathlib import Path

import pytest

from harness.errors import HarnessBug
from harness.images import KINDS, recipe
from harness.images.recipe import source_digest

SOURCE = '''"""What it is."""

import os

NAMES = ("a", "b")  # two of them


def make() -> str:
    """Makes it."""
    text = "content"
    return text + os.sep
'''


def digest(tmp_path: Path, source: str, name: str = "part.py") -> str:
    path = tmp_path / name
    path.write_text(source)
    return source_digest([path])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("What it is.", "What this is,\nin two lines."),
        ("  # two of them", ""),
        ("Makes it.", "Makes it well."),
        ('("a", "b")', '(  # spread\n    "a",\n    "b")'),
        ("import os\n", "import os\n\n\n# A word.\n"),
    ],
)
def test_words_about_the_code_change_nothing(tmp_path: Path, old: str, new: str) -> None:
    assert old in SOURCE
    assert digest(tmp_path, SOURCE) == digest(tmp_path, SOURCE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [('"content"', '"contents"'), ('"b")', '"c")'), ("text + os.sep", "os.sep + text"), ("    return", "return")],
)
def test_the_code_changes_it(tmp_path: Path, old: str, new: str) -> None:
    assert old in SOURCE
    assert digest(tmp_path, SOURCE) != digest(tmp_path, SOURCE.replace(old, new))


def test_which_file_says_it_matters(tmp_path: Path) -> None:
    assert digest(tmp_path, SOURCE) != digest(tmp_path, SOURCE, "other.py")


def test_every_kind_has_a_recipe_of_its_own() -> None:
    assert len({recipe(kind) for kind in KINDS}) == len(KINDS) == 2
    with pytest.raises(HarnessBug, match="raspbian"):
        recipe("raspbian")
