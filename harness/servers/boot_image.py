# SPDX-License-Identifier: GPL-2.0-or-later
"""boot.img and boot.sig as boot mode 7 takes them: a FAT file system with a board's boot files, made by the usual tools.

raspberrypi/documentation boot-http, boot_ramdisk: one FAT partition without a partition table will do. boot.sig begins with the
SHA-256 of the image; real ones (rpi-eeprom-digest) have a time stamp and an RSA signature behind it, which an emulated board
does not look at.
"""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.errors import InfraError
from harness.servers.programs import find, system_path

IMAGE, SIGNATURE = "boot.img", "boot.sig"
#: Octets that a bootloader takes (96 MB before April 2022; documentation of boot_ramdisk).
LARGEST = 128 << 20
#: Room for the file system's own tables and the last, half-filled cluster of each file.
_ROOM = 4 << 20
_DEADLINE = 120.0


def make(files: Path, folder: Path) -> Path:
    """Put boot.img, with all of `files`, and boot.sig into `folder`. Raises InfraError when a tool is missing or fails."""
    size = sum(path.stat().st_size + 4096 for path in files.rglob("*") if path.is_file()) + _ROOM
    if size > LARGEST:
        raise InfraError(
            f"the boot files take {size >> 20} MB as an image; a bootloader takes {LARGEST >> 20} MB", place=str(files)
        )
    image = folder / IMAGE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        image.unlink(missing_ok=True)
        _run([find("mkfs.vfat"), "-C", "-n", "BOOT", str(image), str(size >> 10)], image)
        _run([find("mcopy"), "-s", "-i", str(image), *map(str, sorted(files.iterdir())), "::"], image)
        sign(image)
    except OSError as error:
        raise InfraError(
            f"{IMAGE} could not be written: {error}", place=str(image), remedy="free some space"
        ) from error
    return image


def sign(image: Path) -> Path:
    """Write the boot.sig that fits to an image, beside it."""
    with image.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    signature = image.with_name(SIGNATURE)
    signature.write_text(f"{digest}\nts: {int(image.stat().st_mtime)}\n", encoding="ascii")
    return signature


def _run(argv: Sequence[str], image: Path) -> None:
    # mtools warn of a total number of sectors that is no multiple of a disk's geometry, and stop.
    environment = {**os.environ, "PATH": system_path(), "LC_ALL": "C", "MTOOLS_SKIP_CHECK": "1"}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_DEADLINE, check=False, env=environment)
    except subprocess.TimeoutExpired as error:
        raise InfraError(f"{argv[0]} did not end within {_DEADLINE:g} s", place=str(image)) from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise InfraError(f"{argv[0]} failed: {words[-1] if words else done.returncode}", place=str(image))
