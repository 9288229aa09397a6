# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a capture program runs, and what that does to its words and its clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, InfraError
from harness.wire.process import Process, local

#: Where `ip netns add` keeps its namespaces (ip-netns(8)).
NAMESPACES = "/run/netns"


def _nothing(_said: str, _status: int | None) -> HarnessError | None:
    return None


@dataclass(frozen=True)
class Place:
    """name: of the host, "" for this one. ahead: seconds that its clock is ahead of ours: packets are stamped earlier by as much.
    explain: the error behind what was said on stderr (all of it) and the exit status (None: it runs) when the way to the place
    is what failed, not the program there; None when it is not.
    """

    name: str = ""
    ahead: float = 0.0
    explain: Callable[[str, int | None], HarnessError | None] = _nothing

    @property
    def on(self) -> str:
        """ " on bench-pi", or nothing."""
        return f" on {self.name}" if self.name else ""


HERE = Place()


def in_namespace(argv: Sequence[str], name: str) -> list[str]:
    """The command that runs `argv` in a named network namespace; it becomes the program, so signals reach it."""
    return ["nsenter", f"--net={NAMESPACES}/{name}", "--", *argv]


def namespace_of(name: str) -> tuple[Callable[[Sequence[str], int, int], Process], Place]:
    """How to start a capture in a named network namespace of this host."""

    def spawn(argv: Sequence[str], stdout_fd: int, stderr_fd: int) -> Process:
        if not Path(NAMESPACES, name).exists():
            raise no_namespace(name)
        return local(in_namespace(argv, name), stdout_fd, stderr_fd)

    return spawn, Place(explain=lambda said, _status: namespace_refused(said, name))


def no_namespace(name: str, host: str = "") -> InfraError:
    on = f" on {host}" if host else ""
    return InfraError(
        f"there is no network namespace {name!r}{on}",
        place=f"{NAMESPACES}/{name}",
        remedy="`ip netns list` shows those that are there; is what makes it running?",
    )


def namespace_refused(said: str, name: str, host: str = "") -> HarnessError | None:
    """nsenter's own complaints."""
    line = next((line for line in said.splitlines() if line.startswith("nsenter:")), "")
    on = f" on {host}" if host else ""
    if "No such file" in line and NAMESPACES in line:
        return no_namespace(name, host)
    if "No such file" in line:
        return InfraError(
            f"tcpdump is not installed{on}", remedy=f"{f'{on[1:]}: ' if on else ''}sudo apt install tcpdump"
        )
    if "not permitted" in line or "Permission denied" in line:
        return InfraError(
            f"no right to enter the network namespace {name!r}{on}",
            remedy="entering a namespace needs root: run as root"
            + (f"{on}, with `user: root` of this wire" if on else ""),
        )
    return None
