# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: what lab.yaml describes, opened, and its boards lent.

`Lab` is looked up when first used: looking at who has a board, or switching its power by hand, needs no rig's imports.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.lab.lab import Lab

__all__ = ["Lab"]


def __getattr__(name: str) -> type["Lab"]:
    if name != "Lab":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from harness.lab.lab import Lab  # noqa: PLC0415

    return Lab
