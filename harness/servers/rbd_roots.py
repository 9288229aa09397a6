# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots on Ceph RBD volumes: for each boot of each board a clone of one image, with the board's own files written over it."""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.servers.board import VirtualBoard
from harness.servers.image_files import copy_image, differences, put_files
from harness.servers.roots import RootStore
from harness.servers.services.ceph import POOL, Cluster

_GOLDEN = f"{POOL}/golden"


class RbdRoots(RootStore):
    """golden: the root's image; folder: of the rig's own, for what is to be imported; files: what differs in a board's root."""

    def __init__(
        self, cluster: Cluster, golden: Path, folder: Path, files: Callable[[VirtualBoard], Mapping[str, str]]
    ) -> None:
        self.cluster = cluster
        self.golden = golden
        self.folder = folder
        self._files = files
        self._imported = False
        self._volumes: set[str] = set()

    def prepare(self, board: VirtualBoard) -> None:
        """What the board's root has that the golden image has not, as the difference that `rbd import-diff` takes."""
        changes = self._changes(board)
        if changes.exists():
            return
        copy = self.folder / f"{board.serial_number}.ext4"
        copy_image(self.golden, copy)
        put_files(copy, self._files(board))
        changes.write_bytes(_diff(copy.stat().st_size, differences(self.golden, copy)))
        copy.unlink()

    def serve(self, board: VirtualBoard) -> None:
        volume = f"{POOL}/{board.serial_number}"
        if volume in self._volumes:
            return
        if not self._imported:
            self._import()
        what = f"making the volume {volume}"
        self._rbd("clone", f"{_GOLDEN}@clean", volume, "--image-feature", "layering", what=what)
        self._rbd("import-diff", "--no-progress", str(self._changes(board)), volume, what=what)
        self._volumes.add(volume)

    def release(self, board: VirtualBoard) -> None:
        volume = f"{POOL}/{board.serial_number}"
        if volume not in self._volumes:
            return
        what = f"taking the volume {volume} away"
        status = json.loads(self._rbd("status", "--format", "json", volume, what=what))
        # A board whose power was cut has not said good-bye: Ceph would keep the volume for it for half a minute.
        for watcher in status.get("watchers", []):
            self.cluster.tool("ceph", "osd", "blocklist", "add", watcher["address"], what=what)
        self._rbd("rm", "--no-progress", volume, what=what)
        self._volumes.discard(volume)

    def _import(self) -> None:
        """Layering is all that the image can: with exclusive-lock, a power cut would cost the next boot twenty seconds."""
        words = ("--image-format", "2", "--image-feature", "layering", "--no-progress")
        self._rbd("import", *words, str(self.golden), _GOLDEN, what="importing the root's image", timeout=300.0)
        for command in (("snap", "create", "--no-progress"), ("snap", "protect")):
            self._rbd(*command, f"{_GOLDEN}@clean", what="making a snapshot of the root's image")
        self._imported = True

    def _changes(self, board: VirtualBoard) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{board.serial_number}.diff"

    def _rbd(self, *words: str, what: str, timeout: float = 60.0) -> str:
        return self.cluster.tool("rbd", *words, what=what, timeout=timeout)


def _diff(size: int, pieces: Sequence[tuple[int, bytes]]) -> bytes:
    """An RBD diff of format v1 (doc/dev/rbd-diff.rst of Ceph): the size, then what is to be written where."""
    out = [b"rbd diff v1\n", struct.pack("<cQ", b"s", size)]
    out += [struct.pack("<cQQ", b"w", offset, len(data)) + data for offset, data in pieces]
    return b"".join([*out, b"e"])
