# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has a device open, or locked: what a person must end before the console can be read."""

import glob
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from harness.console.text import clean

#: Where programs that lock as UUCP did (minicom, cu, ser2net) leave their process id: FHS 5.9.
_UUCP = ("/run/lock", "/var/lock")

#: Program -> how it is kept from a console; %s: the device's name without /dev/.
_KEEP_OFF = {
    "agetty": "this host offers a login on the board's console: sudo systemctl disable --now serial-getty@%s.service",
    "ModemManager": "sudo systemctl disable --now ModemManager, or the udev rule of docs/serial.md",
    "brltty": "sudo apt-get remove brltty (it takes adapters for braille displays)",
    "ser2net": "read it through ser2net: url: rfc2217://HOST:PORT instead of port:",
}


class Holder(NamedTuple):
    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.pid} ({self.name})"


def holders(device: str) -> list[Holder]:
    """Processes, but for this one, that have `device` open or locked; what other users' processes have open only root sees."""
    own = os.getpid()
    pids = {pid for pid in (*_openers(device), *_lockers(device), *_uucp(device)) if pid not in {own, 0}}
    return [Holder(pid, _name(pid)) for pid in sorted(pids)]


def held_by(found: list[Holder]) -> str:
    """For an error: "held by process 42 (minicom)", "" when nobody is known."""
    return f"held by process {', '.join(map(str, found))}" if found else ""


def keep_off(program: str, device: str) -> str:
    """How `program` is kept from `device`, for an error's remedy; "" when it just has to be ended."""
    return _KEEP_OFF.get(program, "").replace("%s", Path(os.path.realpath(device)).name)


def _openers(device: str) -> list[int]:
    wanted = os.path.realpath(device)
    found = []
    # Not Path.glob: it raises when a process ends while it looks.
    for link in map(Path, glob.iglob("/proc/[0-9]*/fd/*")):  # noqa: PTH207
        with suppress(OSError, ValueError):
            if str(link.readlink()) == wanted:
                found.append(int(link.parts[2]))
    return found


def _lockers(device: str) -> list[int]:
    """flock(2), from /proc/locks: "1: FLOCK  ADVISORY  WRITE 4242 00:05:97 0 EOF" (device:inode, hexadecimal major and minor)."""
    found = []
    with suppress(OSError):
        node = Path(device).stat()
        wanted = f"{os.major(node.st_dev):02x}:{os.minor(node.st_dev):02x}:{node.st_ino}"
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.replace("->", "").split()
            with suppress(ValueError, IndexError):
                if words[5] == wanted:
                    found.append(int(words[4]))
    return found


def _uucp(device: str) -> list[int]:
    found = []
    for folder in _UUCP:
        with suppress(OSError, ValueError):
            pid = int(Path(folder, f"LCK..{Path(os.path.realpath(device)).name}").read_text().split()[0])
            if Path(f"/proc/{pid}").exists():
                found.append(pid)
    return found


def _name(pid: int) -> str:
    with suppress(OSError):
        # Any program may call itself what it likes.
        return clean(Path(f"/proc/{pid}/comm").read_bytes().strip()) or "a process"
    return "a process"
