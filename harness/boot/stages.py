# SPDX-License-Identifier: GPL-2.0-or-later
"""The stages of a boot, in their order. Apart from the record, so that collecting tests costs no import of pydantic."""

STAGES = ("power", "link", "dhcp", "firmware", "kernel", "initramfs", "root", "userspace", "login")
