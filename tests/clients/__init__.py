# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot loaders that are no Pi, in virtual machines, on the rig of the emulated boards."""
