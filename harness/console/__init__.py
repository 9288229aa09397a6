# SPDX-License-Identifier: GPL-2.0-or-later
"""The serial console of a board: read all the time, every octet kept with its time, lines that mean something named."""
