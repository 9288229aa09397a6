# SPDX-License-Identifier: GPL-2.0-or-later
"""What all parts of a boot record are made of."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Base of all parts of a record: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Evidence(Part):
    """Where an observation stands: packet number in the capture, line number on the console, or line of power.jsonl."""

    source: Literal["packet", "console", "power", "harness"]
    ref: int = 0
    t: float | None = None
    text: str = ""
