# SPDX-License-Identifier: GPL-2.0-or-later
"""A Raspberry Pi in software: boot ROM or EEPROM bootloader, firmware, and the hand-over to a virtual machine.

What a board does is written as generators that yield effects (effects.py) and know nothing of files, sockets or time;
runtime.py carries the effects out for any number of boards in one thread. Every packet is built and read here, with
struct alone, so that the judge's reading of the same packets is an independent one.
"""
