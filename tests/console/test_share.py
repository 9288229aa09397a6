# SPDX-License-Identifier: GPL-2.0-or-later
"""One console for several: who reads it shares it, over a socket of this user's own."""

import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.console.log import ConsoleLog
from harness.console.port import PortGone
from harness.console.share import SOCKET, ConsoleShare, attach, leave, serves
from harness.console.shared_port import SharedPort
from harness.console.tap import Tap
from harness.console.visiting import Break, Typed, break_command, escaped
from harness.errors import ConfigError, InfraError
from tests.console.doubles import ScriptPort
from tests.lab.doubles import Pty
from tests.wire.test_capture import until

pytestmark = pytest.mark.gear


@pytest.fixture
def pty() -> Iterator[Pty]:
    line = Pty()
    yield line
    line.close()


def heard(connection: socket.socket, wanted: bytes) -> bytes:
    connection.settimeout(20)
    got = b""
    while wanted not in got:
        piece = connection.recv(4096)
        assert piece, got
        got += piece
    return got


def test_visitors_see_and_type_and_the_log_keeps_all(tmp_path: Path, pty: Pty) -> None:
    folder = tmp_path / ("long" * 40)  # longer than a Unix socket's address
    folder.mkdir()
    with ConsoleLog(pty.path, folder) as console:
        share = ConsoleShare(console, folder)
        assert stat.S_IMODE(share.path.stat().st_mode) == 0o600
        pty.say("raspberrypi login: ")
        until(lambda: "login" in console.tail())
        with attach(share.path) as one, attach(share.path) as two:
            assert heard(one, b"login: ") == b"raspberrypi login: ", "the prompt that stood there"
            heard(two, b"login: ")
            two.sendall(b"root\r")
            assert pty.hear(b"root\r") == b"root\r"
            pty.say("root\r\n# ")
            for visitor in (one, two):
                heard(visitor, b"# ")
    assert not share.path.exists()
    assert (folder / "console.log").read_bytes().endswith(b"root\r\n# ")


def test_a_visitor_misses_nothing_from_the_moment_it_is_there(
    tmp_path: Path, pty: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConsoleLog(pty.path, tmp_path) as console:
        tap = console.tap

        def late() -> Tap:  # as on a busy machine
            time.sleep(0.3)
            return tap()

        monkeypatch.setattr(console, "tap", late)
        with attach(ConsoleShare(console, tmp_path).path) as visitor:
            pty.say("a line\r\n")
            until(lambda: "a line" in console.tail())
            assert heard(visitor, b"a line\r\n") == b"a line\r\n"


def test_a_closed_console_sends_its_visitors_away(tmp_path: Path, pty: Pty) -> None:
    console = ConsoleLog(pty.path, tmp_path).start()
    share = ConsoleShare(console, tmp_path)
    with attach(share.path) as visitor:
        pty.say("last words")
        until(lambda: "last words" in console.tail())
        console.close()
        visitor.settimeout(20)
        got = b""
        while piece := visitor.recv(4096):
            got += piece
        assert got == b"last words"
    with pytest.raises(InfraError, match="nobody serves this console"):
        attach(tmp_path / SOCKET)


def test_what_was_typed_last_arrives_before_the_console_is_closed(tmp_path: Path, pty: Pty) -> None:
    for number in range(20):
        with ConsoleLog(pty.path, tmp_path) as console, attach(ConsoleShare(console, tmp_path).path) as visitor:
            visitor.sendall(b"exit %d\r" % number)
            leave(visitor)
        pty.hear(b"exit %d\r" % number)


def test_breaks_of_visitors_reach_the_line(tmp_path: Path) -> None:
    line = ScriptPort()
    with ConsoleLog(lambda: line, tmp_path, gather=0.0) as console:
        share = ConsoleShare(console, tmp_path)
        with attach(share.path) as visitor:
            visitor.sendall(b"a" + break_command() + b"b" + break_command(b"h") + escaped(b"\xffc"))
            until(lambda: line.written.endswith(b"c"))
    assert line.did == ["break 0.25", "break 0.25"]
    assert bytes(line.written) == b"abh\xffc"


@given(
    st.lists(st.one_of(st.binary(min_size=1, max_size=9), st.builds(Break, st.sampled_from([b"", b"b", b"h"])))),
    st.integers(1, 9),
)
def test_what_is_typed_passes_in_any_pieces(items: list[bytes | Break], size: int) -> None:
    sent = b"".join(break_command(one.then) if isinstance(one, Break) else escaped(one) for one in items)
    typed = Typed()
    got = [one for at in range(0, len(sent), size) for one in typed.feed(sent[at : at + size])]
    assert _joined(got) == _joined(items)
    assert Typed().feed(b"x\xfe\xff\x01y") == [b"x\xfe\xff\x01y"], "what is no command is what was typed"


def _joined(items: list[bytes | Break]) -> list[bytes | Break]:
    """Pieces of octets in a row as one."""
    found: list[bytes | Break] = []
    for one in items:
        last = found[-1] if found else None
        if isinstance(one, bytes) and isinstance(last, bytes):
            found[-1] = last + one
        else:
            found.append(one)
    return found


def test_a_visitor_that_does_not_read_hinders_nobody(tmp_path: Path, pty: Pty) -> None:
    with ConsoleLog(pty.path, tmp_path) as console:
        share = ConsoleShare(console, tmp_path)
        with attach(share.path), attach(share.path) as reader:
            for number in range(200):
                pty.say(b"x" * 1000 + b"\r\n%d\r\n" % number)
            heard(reader, b"\n199\r\n")
        until(lambda: console.bytes_read > 200_000)
        assert "199" in console.tail()


def test_a_shared_line_is_a_line(tmp_path: Path, pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpid", lambda: 1)  # as another process would
    with ConsoleLog(pty.path, tmp_path) as console:
        share = ConsoleShare(console, tmp_path)
        port = SharedPort(share.path, pty.path)
        pty.say("login: ")
        assert port.read(20.0) == b"login: "
        assert port.read(0.01) == b""
        port.write(b"root\r")
        pty.hear(b"root\r")
        port.interrupt()
        assert port.read(20.0) == b""
        with pytest.raises(ConfigError, match="another process reads"):
            port.set_baud(9600)
        port.send_break()
        until(lambda: port.read(20.0).endswith(b"it is a pty]\r\n"))
        console.close()
        with pytest.raises(PortGone, match="has closed it"):
            port.read(20.0)
        port.close()
        port.close()
        with pytest.raises(PortGone):
            port.write(b"x")


def test_a_process_does_not_read_its_own_share(tmp_path: Path, pty: Pty) -> None:
    with ConsoleLog(pty.path, tmp_path) as console:
        share = ConsoleShare(console, tmp_path)
        assert serves(share.path)
        with pytest.raises(InfraError, match="shares the line itself"):
            SharedPort(share.path, pty.path)
    assert not serves(share.path)
