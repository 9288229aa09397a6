# SPDX-License-Identifier: GPL-2.0-or-later
"""Hardware-in-the-loop tests of Raspberry Pi network boot: watch the wire and the console, judge every stage."""

__version__ = "0.1.0"
