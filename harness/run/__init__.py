# SPDX-License-Identifier: GPL-2.0-or-later
"""A run: its folder under reports/, what the harness itself notes there, and the record made of a boot's files."""

from harness.run.folder import Run, disk_error, latest, timestamp, write_json

__all__ = ["Run", "disk_error", "latest", "timestamp", "write_json"]
