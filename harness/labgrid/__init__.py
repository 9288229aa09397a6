# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards that are places of a labgrid coordinator, through labgrid's client program: labgrid itself is never imported."""
