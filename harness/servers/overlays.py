# SPDX-License-Identifier: GPL-2.0-or-later
"""Root file systems for boards: one that is never written to, and for each boot of each board a layer of its own on top."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness.errors import InfraError
from harness.servers.keeper_client import Keeper


class Overlays:
    """Overlay mounts in the rig's own mount namespace, at /srv/nfs/<serial number>.

    lower: the pristine root. layers: a directory on a real file system (overlay needs its extended attributes and handles).
    `index` and `nfs_export` give files handles that an NFS server can hand out (Documentation/filesystems/overlayfs.rst).
    """

    def __init__(self, keeper: Keeper, lower: Path, layers: Path) -> None:
        self.keeper = keeper
        self.lower = lower
        self.layers = layers
        self._generations: dict[str, int] = {}

    @staticmethod
    def path(serial_number: str) -> str:
        """Where the rig's processes see a board's root."""
        return f"/srv/nfs/{serial_number}"

    def upper(self, serial_number: str) -> Path:
        """The directory that holds what the board's present boot has written."""
        return self._layer(serial_number) / "upper"

    def mount(self, serial_number: str, files: Mapping[str, str] | None = None) -> None:
        """Mount a clean root for a board. files: what differs from the lower one, relative path -> text.

        Raises InfraError where overlays cannot be made.
        """
        generation = self._generations.get(serial_number, 0) + 1
        self._generations[serial_number] = generation
        layer = self._layer(serial_number)
        for name in ("upper", "work"):
            (layer / name).mkdir(parents=True)
        # The top directory's mode and owner are those of the upper one.
        _like(self.lower, layer / "upper")
        for name, text in (files or {}).items():
            self._put(layer / "upper", name, text)
        options = {"lowerdir": self.lower, "upperdir": layer / "upper", "workdir": layer / "work"}
        mount = ",".join(f"{key}={_escaped(value)}" for key, value in options.items()) + ",index=on,nfs_export=on"
        try:
            self.keeper.mount("overlay", self.path(serial_number), "overlay", mount)
        except InfraError as error:
            raise InfraError(
                f"no clean root file system for board {serial_number}: {error.what}",
                place=str(layer),
                remedy="set PIBOOT_SCRATCH to a directory on ext4 or XFS; overlay layers cannot lie on another overlay",
            ) from error

    def unmount(self, serial_number: str) -> None:
        """Take a board's root away, and what its boot has written. Works while a server has files of it open."""
        self.keeper.unmount(self.path(serial_number), lazy=True)
        shutil.rmtree(self._layer(serial_number), ignore_errors=True)

    def _put(self, upper: Path, name: str, text: str) -> None:
        """A file of the board's own; the directories above it look like those of the lower root."""
        path = upper / name
        for parent in reversed(Path(name).parents[:-1]):
            (upper / parent).mkdir(exist_ok=True)
            if (self.lower / parent).is_dir():
                _like(self.lower / parent, upper / parent)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)

    def _layer(self, serial_number: str) -> Path:
        return self.layers / serial_number / str(self._generations[serial_number])


def _like(model: Path, made: Path) -> None:
    """Mode, times and owner."""
    shutil.copystat(model, made)
    status = model.stat()
    os.chown(made, status.st_uid, status.st_gid)


def _escaped(path: Path) -> str:
    """A path as a value in overlay's mount options, where commas and colons separate."""
    return "".join(f"\\{c}" if c in "\\,:" else c for c in str(path))
