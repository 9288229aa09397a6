# SPDX-License-Identifier: GPL-2.0-or-later
"""Anybody's console logs and captures -> what is known of each board in them, without a lab."""

from harness.analyze.analyze import analyze
from harness.analyze.result import OUTCOMES, BoardSeen

__all__ = ["OUTCOMES", "BoardSeen", "analyze"]
