# SPDX-License-Identifier: GPL-2.0-or-later
"""What the commands of `piboot` do: a module for each group of them. Each returns its exit code; errors go up to cli.py."""
