# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing to set up: the `piboot` pytest plug-in brings the fixtures."""
