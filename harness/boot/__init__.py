# SPDX-License-Identifier: GPL-2.0-or-later
"""The core: events -> stages -> record -> verdict -> findings. No I/O: everything here replays from files."""
