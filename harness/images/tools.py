# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the programs that a build needs, and says which Debian package brings one that is missing."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from harness.errors import InfraError

Progress = Callable[[str], None]

PACKAGES = {
    "apt-get": "apt",
    "apt-cache": "apt",
    "apt-config": "apt",
    "arch-test": "arch-test",
    "blkid": "util-linux",
    "dpkg-deb": "dpkg",
    "e2fsck": "e2fsprogs",
    "fuse2fs": "fuse2fs",
    "mcopy": "mtools",
    "mdir": "mtools",
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64-static": "qemu-user-static",
    "setpriv": "util-linux",
    "sfdisk": "fdisk",
    "unshare": "util-linux",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# Debian keeps administrators' tools where an ordinary user's PATH does not look.
SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing_packages(programs: Sequence[str]) -> list[str]:
    """Debian packages to install so that all `programs` are there; empty when nothing is missing."""
    return sorted({PACKAGES.get(name, name) for name in programs if shutil.which(name, path=SEARCH) is None})


def need(programs: Sequence[str], *, keyring: bool = False, root: bool = False) -> None:
    """Checks before a build, so that it does not fail in its fourth minute. InfraError names all that is missing."""
    if root and os.geteuid() != 0:
        raise InfraError(
            "building the root file system needs root (it holds files of many owners and device nodes)",
            remedy="run it once with sudo, e.g. sudo script/setup; later runs use the cache and need no root for it",
        )
    packages = missing_packages(programs)
    if keyring and not KEYRING.exists():
        packages.append("debian-archive-keyring")
    if packages:
        absent = [name for name in programs if shutil.which(name, path=SEARCH) is None]
        raise InfraError(
            f"building the root file system needs {', '.join(absent) or KEYRING}",
            remedy=f"sudo apt install {' '.join(packages)}",
        )


def run(
    argv: Sequence[str | Path],
    what: str,
    *,
    deadline: float,
    env: Mapping[str, str] | None = None,
    private: bool = False,
    remedy: str = "",
) -> str:
    """Runs `argv`, gives its output (stdout and stderr as they came); InfraError when it fails or `deadline` s passed.

    what: what it does, for the error ("downloading Debian's package lists").
    private: in a PID and mount namespace of its own which ends with this process, however that ends: a killed build leaves
    neither processes nor mounts.
    """
    command = [str(word) for word in argv]
    if private:
        # setpriv's death signal survives exec: we die → unshare is killed → --kill-child kills the namespace's first process.
        wrap = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation", "private"]
        command = [*wrap, "--pid", "--fork", "--kill-child", "--mount-proc", "--", *command]
    environment = {**os.environ, "PATH": SEARCH, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", **(env or {})}
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                timeout=deadline,
                check=False,
            ).returncode
        except FileNotFoundError as error:
            need([command[0]])
            raise InfraError(f"{what}: {error}") from error
        except subprocess.TimeoutExpired:
            code = None
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if code == 0:
        return text
    ended = f"ended with {code}" if code is not None else f"not done after {time.monotonic() - started:.0f} s"
    tail = "\n".join(f"    {line[:300]}" for line in text.strip().splitlines()[-12:])
    raise InfraError(f"{what}: {command[0]} {ended}; it said last:\n{tail}", remedy=remedy)


def remove(folder: Path) -> None:
    """Removes a folder tree that may hold foreign owners' files; what is already gone is no error."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
