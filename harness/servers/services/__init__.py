# SPDX-License-Identifier: GPL-2.0-or-later
"""The real servers of the emulated lab, one small module each."""
