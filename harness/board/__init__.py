# SPDX-License-Identifier: GPL-2.0-or-later
"""A board: power port, console and wire in one hand, and one boot of it watched. The only room where the three meet."""

from harness.board.board import Board

__all__ = ["Board"]
