# SPDX-License-Identifier: GPL-2.0-or-later
"""A netboot server of the user's own, looked at from outside, without a board: asked as each board's firmware would ask it."""
