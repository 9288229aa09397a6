# SPDX-License-Identifier: GPL-2.0-or-later
"""The root file systems of a rig's boards, one each: made, served, taken away, made anew, while other boards go on."""

from abc import ABC, abstractmethod

from harness.servers.board import VirtualBoard


class RootStore(ABC):
    """One topology's way to keep roots: an overlay that NFS exports, a copy of an image that a target serves, a clone.

    A rig calls prepare() for every board before any service runs, and serve() once all of them run.
    """

    @abstractmethod
    def prepare(self, board: VirtualBoard) -> None:
        """Make the board a clean root, as far as no service is needed for it. Raises InfraError."""

    @abstractmethod
    def serve(self, board: VirtualBoard) -> None:
        """Have the services, which run, serve it; nothing happens when they do already. Raises InfraError."""

    @abstractmethod
    def release(self, board: VirtualBoard) -> None:
        """Take the root of a board that is off away, with all that the board has written. Raises InfraError."""

    def reset(self, board: VirtualBoard) -> None:
        """Give a board that is off a clean root. Other boards notice nothing. Raises InfraError."""
        self.release(board)
        self.prepare(board)
        self.serve(board)
