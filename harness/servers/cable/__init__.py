# SPDX-License-Identifier: GPL-2.0-or-later
"""A bad cable between a board of the rig and its switch: what it does to frames, and the program that does it."""

from harness.servers.cable.faults import Faults

__all__ = ["Faults"]
