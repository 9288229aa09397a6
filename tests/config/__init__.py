# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of lab.yaml's reader and of what is checked before a boot."""
