# SPDX-License-Identifier: GPL-2.0-or-later
"""Which QEMU of this machine runs a board: the one on PATH, or a newer one that lies beside it where a machine needs it."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.errors import ConfigError, InfraError

PROGRAM = "qemu-system-aarch64"
#: Where script/packages unpacks a newer one, which cannot be installed beside the distribution's own.
BESIDE = Path("/usr/local/lib/piboot/qemu/usr/bin") / PROGRAM
#: machine -> the first version that has it (QEMU 9.0's release notes: raspi4b).
NEEDS: dict[str, tuple[int, ...]] = {"raspi4b": (9, 0)}
_TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class Program:
    """version: its version line, "" when it does not answer."""

    path: str
    version: str

    @property
    def number(self) -> tuple[int, ...]:
        """(10, 0, 2); empty when the version line tells none."""
        return version_number(self.version)


def version_number(line: str) -> tuple[int, ...]:
    """Of a version line: "QEMU emulator version 10.0.2 (Debian ...)"."""
    found = re.search(r"version (\d+(?:\.\d+)*)", line)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def find(machine: str = "virt") -> Program:
    """The program that has this machine: the one on PATH if it will do. Raises InfraError without QEMU, ConfigError when
    all are too old.
    """
    needed = NEEDS.get(machine)
    places = [shutil.which(PROGRAM), str(BESIDE) if needed is not None else None]
    paths = [path for path in places if path is not None and os.access(path, os.X_OK)]
    if not paths:
        raise InfraError(f"{PROGRAM} is missing", remedy="apt install qemu-system-arm")
    found = []
    for path in paths:
        program = Program(path, _version(path, Path(path).stat().st_mtime_ns))
        if needed is None or program.number >= needed:
            return program
        found.append(f"{'.'.join(map(str, program.number)) or 'of an unknown version'} ({path})")
    raise ConfigError(
        f"machine: {machine} needs QEMU {'.'.join(map(str, needed or ()))} or newer; here it is {', '.join(found)}",
        remedy="Debian 13 has a newer one; on Debian 12 `sudo script/newer-qemu` puts that of bookworm-backports beside it; "
        "or write machine: virt",
    )


def too_old(machine: str, place: str) -> None:
    """Raises ConfigError with that place when there is a QEMU here, and none that has this machine."""
    try:
        find(machine)
    except ConfigError as error:
        raise ConfigError(error.what, place=place, remedy=error.remedy) from None
    except InfraError:  # none at all: power-on says so
        return


@cache
def _version(path: str, _changed: int) -> str:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.splitlines()[0] if done.stdout else ""


@cache
def known_cpus(path: str) -> frozenset[str]:
    """Processors that this QEMU can be; empty when it does not say."""
    try:
        done = subprocess.run([path, "-cpu", "help"], capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(word for word in done.stdout.split() if word.startswith("cortex-"))
