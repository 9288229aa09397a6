# SPDX-License-Identifier: GPL-2.0-or-later
"""What people read of a run: HTML report, JUnit XML, live view. All are functions of boot records; none touches gear."""
