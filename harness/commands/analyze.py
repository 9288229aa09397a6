# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot analyze`: what somebody's console logs and captures tell, without a lab."""

import json
from pathlib import Path

from harness.errors import BootFailure


def analyze_files(files: list[Path], *, as_json: bool) -> int:
    """0; 1 when a board failed. Raises ConfigError for files that are not read."""
    from harness.analyze import analyze  # noqa: PLC0415 - brings scapy and pydantic
    from harness.analyze.text import blocks  # noqa: PLC0415

    boards = analyze(files)
    if as_json:
        print(json.dumps([board.model_dump(mode="json") for board in boards], indent=2))
    else:
        print(blocks(boards))
    return BootFailure.exit_code if any(board.failed_stage is not None for board in boards) else 0
