# SPDX-License-Identifier: GPL-2.0-or-later
"""Sharing a lab: who has which board, on one host by file locks, beyond it by labgrid."""
