# SPDX-License-Identifier: GPL-2.0-or-later
"""What `harness.checks` asks of this machine, and the shape of its answers. Tests put another machine in its place."""

from __future__ import annotations

import glob
import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.config import SerialConsole

#: Debian keeps administrators' tools where an ordinary user's PATH does not look.
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_DEADLINE = 10.0
_LARGEST = 64 * 1024


@dataclass(frozen=True)
class Check:
    """One thing looked at. ok: None when it could not be told, or does not stop a boot; found: what there is; remedy:
    what to do, "" when nothing; needed_for: what does not work without it; package: Debian's, that brings it.
    """

    name: str
    ok: bool | None
    found: str
    remedy: str
    needed_for: str
    package: str = ""


class Probes:
    """Reads this machine; changes nothing on it. No method raises for what it finds, but for `usb_console`."""

    def is_root(self) -> bool:
        return os.geteuid() == 0

    def which(self, program: str) -> str | None:
        """Path of a program, also from the sbin folders."""
        return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN]))

    def exists(self, path: str) -> bool:
        with suppress(OSError):
            return Path(path).exists()
        return False

    def may(self, path: str, what: str) -> bool:
        """what: letters of r, w, x."""
        modes = {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}
        return all(os.access(path, modes[letter]) for letter in what)

    def glob(self, pattern: str) -> list[str]:
        return sorted(glob.glob(pattern))  # noqa: PTH207 - absolute patterns, which Path.glob does not take

    def read(self, path: str) -> str:
        """The text of a small file; "" when there is none."""
        try:
            with Path(path).open("rb") as file:
                return file.read(_LARGEST).decode("utf-8", "replace")
        except OSError:
            return ""

    def is_character_device(self, path: str) -> bool:
        with suppress(OSError):
            return stat.S_ISCHR(Path(path).stat().st_mode)
        return False

    def has_capabilities(self, program: str) -> bool:
        """Whether the program's file carries capabilities (setcap)."""
        try:
            return bool(os.getxattr(program, "security.capability"))
        except OSError:
            return False

    def run(self, argv: Sequence[str]) -> tuple[int, str]:
        """Exit status and output of a short command; 124 when it does not end in time."""
        search = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN])
        try:
            done = subprocess.run(
                [self.which(argv[0]) or argv[0], *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": search, "LC_ALL": "C"},
                timeout=_DEADLINE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 124, f"not done after {_DEADLINE:.0f} s"
        except OSError as error:
            return 127, str(error)
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def free_disk(self) -> tuple[str, int | None]:
        """The cache folder, and the bytes that are free there."""
        from harness.images import cache_folder  # noqa: PLC0415 - only emulated labs need it

        folder = cache_folder()
        there = folder
        while not there.exists() and there != there.parent:
            there = there.parent
        try:
            return str(folder), shutil.disk_usage(there).free
        except OSError:
            return str(folder), None

    def free_memory(self) -> int | None:
        """Bytes that programs could get without swapping."""
        for line in self.read("/proc/meminfo").splitlines():
            if line.startswith("MemAvailable:"):
                with suppress(ValueError, IndexError):
                    return int(line.split()[1]) * 1024
        return None

    def real_path(self, path: str) -> str:
        """Where links lead."""
        return os.path.realpath(path)

    def users_of(self, device: str) -> list[tuple[int, str]]:
        """Process ids and names of those that have the device open or locked; of other users' as far as one may know."""
        from harness.console.holders import holders  # noqa: PLC0415 - only labs with real consoles need it

        return [(holder.pid, holder.name) for holder in holders(device)]

    def usb_console(self, console: SerialConsole) -> str:
        """The device of a console that is named by its USB adapter. The one method that raises: InfraError, ConfigError."""
        from harness.console.opening import device_of  # noqa: PLC0415 - as above

        return device_of(console)

    def console_fault(self, console: SerialConsole) -> HarnessError | None:
        """What is wrong with how a console is described: the milestones that it names are looked up."""
        from harness.console.opening import check_milestones  # noqa: PLC0415 - as above

        try:
            check_milestones(console)
        except HarnessError as error:
            return error
        return None

    def image_is_built(self, root: str) -> bool | None:
        """Whether the boot set of `root` ("debian", "light") is in the cache; None when that cannot be told."""
        from harness.images import cached  # noqa: PLC0415 - as above

        try:
            return cached(root) is not None
        except (HarnessError, OSError):
            return None

    def image_is_laid_out(self, image: str) -> bool | HarnessError:
        """Whether the user's own image is in the cache; the error when it is no image's file."""
        from harness.images.own.make import laid_out  # noqa: PLC0415 - as above

        try:
            return laid_out(Path(image))
        except HarnessError as error:
            return error
