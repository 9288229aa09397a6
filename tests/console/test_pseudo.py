# SPDX-License-Identifier: GPL-2.0-or-later
"""A pseudo-terminal that has gone: its number is given to the next one at once, and that is not this board's console."""

import os
import threading
import tty
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.console.link import Link
from harness.console.port import BytePort, PortGone, open_port
from harness.errors import InfraError

pytestmark = pytest.mark.gear

WORDS = b"RPi: BOOTLOADER release VERSION:c258ef8f DATE: Jul  6 2021\r\n"


class Terminal:
    """Both ends of a pseudo-terminal, until `close`."""

    def __init__(self) -> None:
        self._ends = os.openpty()
        tty.setraw(self._ends[1])
        self.path = os.ttyname(self._ends[1])

    def say(self, data: bytes) -> None:
        os.write(self._ends[0], data)

    def close(self) -> None:
        for end in self._ends:
            os.close(end)


class Opener:
    """Opens a name, and counts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def __call__(self) -> BytePort:
        self.count += 1
        return open_port(self.name)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(opener: Opener, stack: ExitStack) -> Link:
    """A console's line; given up at its first failure to reopen it."""
    link = Link(opener, opener.name, 0.0)
    link.open()
    stack.callback(lambda: link.port and link.port.close())
    return link


def lose(link: Link, terminal: Terminal) -> None:
    terminal.close()
    assert link.port is not None
    with pytest.raises(PortGone):
        link.port.read(60.0)
    link.lost("gone")


def named(path: str, stack: ExitStack) -> Terminal:
    """Terminals until one has that name; another program of this machine may have taken it, then that has it."""
    for _ in range(32):
        terminal = Terminal()
        stack.callback(terminal.close)
        if terminal.path == path:
            break
    return terminal


def test_the_next_terminal_of_that_name_is_not_opened(stack: ExitStack) -> None:
    terminal = Terminal()
    opener = Opener(terminal.path)
    link = opened(opener, stack)
    lose(link, terminal)
    named(terminal.path, stack)
    how, error = link.retry(threading.Event())
    assert (how, link.port, opener.count) == ("", None, 1), "a person's terminal, or another board's, was opened"
    assert isinstance(error, InfraError)
    assert "a pty that has gone does not come back" in error.what
    assert "link=" in error.remedy


def test_a_link_that_was_made_anew_is_followed(tmp_path: Path, stack: ExitStack) -> None:
    name, terminal = tmp_path / "console-1", Terminal()
    name.symlink_to(terminal.path)
    link = opened(Opener(str(name)), stack)
    lose(link, terminal)
    again = named(terminal.path, stack)
    (tmp_path / "new").symlink_to(again.path)
    (tmp_path / "new").replace(name)
    how, _ = link.retry(threading.Event())
    assert how.startswith("reopened")
    assert link.port is not None
    again.say(WORDS)
    assert link.port.read(60.0) == WORDS


def test_a_link_that_was_left_behind_is_not_followed(tmp_path: Path, stack: ExitStack) -> None:
    name, terminal = tmp_path / "console-1", Terminal()
    name.symlink_to(terminal.path)
    opener = Opener(str(name))
    link = opened(opener, stack)
    lose(link, terminal)
    named(terminal.path, stack)
    assert link.retry(threading.Event())[0] == ""
    assert opener.count == 1
