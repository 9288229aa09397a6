# SPDX-License-Identifier: GPL-2.0-or-later
"""What switches a board's power; its state is read back, never assumed."""
