# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders that several processes make side by side."""

from pathlib import Path


def new_folder(parent: Path, name: str) -> Path:
    """Makes `name` in `parent`, or `name`-2, -3 … when another process took it. OSError as mkdir has it."""
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        return folder
