# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots that an iSCSI target serves: for each boot of each board a copy of the root's image, as the disk of its own target."""

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.errors import InfraError
from harness.servers.board import VirtualBoard
from harness.servers.image_files import copy_image, put_files
from harness.servers.roots import RootStore
from harness.servers.services.tgt import Disk, Tgt


class IscsiRoots(RootStore):
    """golden: the root's image; disk: a board's, whose image is made here; files: what differs in its root."""

    def __init__(
        self,
        tgt: Tgt,
        golden: Path,
        disk: Callable[[VirtualBoard], Disk],
        files: Callable[[VirtualBoard], Mapping[str, str]],
    ) -> None:
        self.tgt = tgt
        self.golden = golden
        self._disk = disk
        self._files = files

    def prepare(self, board: VirtualBoard) -> None:
        image = self._disk(board).image
        try:
            copy_image(self.golden, image)
            put_files(image, self._files(board))
        except InfraError as error:
            raise InfraError(
                f"no clean disk for board {board.name}: {error.what}", place=str(image), remedy=error.remedy
            ) from error

    def serve(self, board: VirtualBoard) -> None:
        disk = self._disk(board)
        # Those of the target's start stand in its configuration.
        if disk not in self.tgt.disks:
            self.tgt.add(disk)

    def release(self, board: VirtualBoard) -> None:
        disk = self._disk(board)
        self.tgt.withdraw(disk.target)
        disk.image.unlink(missing_ok=True)
