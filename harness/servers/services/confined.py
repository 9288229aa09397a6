# SPDX-License-Identifier: GPL-2.0-or-later
"""AppArmor: Debian's profiles let its DHCP servers read /etc and write /var/lib only, and a rig's files lie elsewhere."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.servers.programs import find, system_path

PROFILES = Path("/sys/kernel/security/apparmor/profiles")


def unconfined(command: Sequence[str], profiles: Path = PROFILES) -> list[str]:
    """The command, through aa-exec when a loaded profile would confine its program (its lines: "/usr/sbin/dhcpd (enforce)").

    Without aa-exec the command is given as it is: its log then shows what it was denied.
    """
    path = find(command[0])
    try:
        confined = any(line.startswith(f"{path} ") for line in profiles.read_text(encoding="utf-8").splitlines())
    except OSError:  # no AppArmor, or not root
        confined = False
    if confined and shutil.which("aa-exec", path=system_path()):
        return ["aa-exec", "-p", "unconfined", "--", path, *command[1:]]
    return list(command)
