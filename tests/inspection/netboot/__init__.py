# SPDX-License-Identifier: GPL-2.0-or-later
"""A netboot server, looked at from outside."""
