# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies of a root's ext4 image, and a board's own files in them: without mounting, by debugfs(8) of e2fsprogs."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import InfraError
from harness.servers.programs import find

_DEADLINE = 120.0
_BLOCK = 1 << 20


def copy_image(image: Path, to: Path) -> None:
    """A copy with the same holes; where the file system can share blocks (XFS, btrfs), it costs nothing. Raises InfraError."""
    to.parent.mkdir(parents=True, exist_ok=True)
    _run(["cp", "--sparse=always", "--reflink=auto", str(image), str(to)], f"copying {image.name}")


def put_files(image: Path, files: Mapping[str, str]) -> None:
    """Write text files into an image that nobody has mounted: relative path -> text; mode 0644, owner root.

    Directories on the way are made. Raises InfraError when one cannot be, or the image is full.
    """
    if not files:
        return
    with tempfile.TemporaryDirectory() as folder:
        commands = []
        for number, (name, text) in enumerate(files.items()):
            source = Path(folder) / str(number)
            source.write_text(text, encoding="utf-8")
            commands += [f'mkdir "/{folder}"' for folder in list(Path(name).parents)[-2::-1]]
            commands += [f'rm "/{name}"', f'write {source} "/{name}"']
            commands += [f'sif "/{name}" {what}' for what in ("mode 0100644", "uid 0", "gid 0")]
        script = Path(folder) / "script"
        script.write_text("".join(f"{command}\n" for command in commands), encoding="utf-8")
        said = _run(["debugfs", "-w", "-f", str(script), str(image)], f"writing files into {image.name}")
    # It ends with 0 whatever went wrong.
    wrong = [line for line in said.splitlines() if _complaint(line)]
    if wrong:
        raise InfraError(f"files could not be written into {image.name}: {wrong[0]}", place=str(image))


def differences(before: Path, after: Path, size: int = 4096) -> list[tuple[int, bytes]]:
    """Where a changed copy of an image differs, in whole blocks: (offset, octets). Holes are not read."""
    found = []
    with before.open("rb") as one, after.open("rb") as two:
        for start in range(0, after.stat().st_size, _BLOCK):
            old, new = (os.pread(file.fileno(), _BLOCK, start) for file in (one, two))
            if old != new:
                found += [
                    (start + at, new[at : at + size])
                    for at in range(0, len(new), size)
                    if old[at : at + size] != new[at : at + size]
                ]
    return found


def _complaint(line: str) -> bool:
    if line.startswith(("debugfs", "Allocated inode")) or not line.strip():
        return False
    # That a file which is to be replaced was not there, or a folder was, is nothing wrong.
    return not ("already exists" in line or (line.startswith("rm:") and "not found" in line))


def _run(argv: Sequence[str], what: str) -> str:
    try:
        done = subprocess.run(
            [find(argv[0]), *argv[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InfraError(f"{what}: {argv[0]} was not done after {_DEADLINE:g} s") from error
    if done.returncode != 0:
        raise InfraError(
            f"{what}: {argv[0]} ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-300:]}",
            remedy="free some space, or set PIBOOT_SCRATCH to a directory on a larger disk",
        )
    return done.stdout + done.stderr
