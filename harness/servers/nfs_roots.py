# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots that an NFS server exports: for each boot of each board an overlay of its own."""

from collections.abc import Callable, Mapping

from harness.servers.board import VirtualBoard
from harness.servers.overlays import Overlays
from harness.servers.roots import RootStore
from harness.servers.services.nfs import Export, Nfs


class NfsRoots(RootStore):
    """path: the name of a board's export; files: what differs in its root from the boot set's."""

    def __init__(
        self,
        overlays: Overlays,
        nfs: Nfs,
        path: Callable[[VirtualBoard], str],
        files: Callable[[VirtualBoard], Mapping[str, str]],
    ) -> None:
        self.overlays = overlays
        self.nfs = nfs
        self._path = path
        self._files = files

    def prepare(self, board: VirtualBoard) -> None:
        self.overlays.mount(board.serial_number, self._files(board))

    def serve(self, board: VirtualBoard) -> None:
        path = self._path(board)
        # Those of the server's start stand in its configuration.
        if all(export.path != path for export in self.nfs.exports):
            self.nfs.add(Export(path, self.overlays.path(board.serial_number)))

    def release(self, board: VirtualBoard) -> None:
        self.nfs.withdraw(self._path(board))
        self.overlays.unmount(board.serial_number)
