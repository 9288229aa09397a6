# SPDX-License-Identifier: GPL-2.0-or-later
"""How octets are typed, and what else is done to a line: rates, breaks, SysRq."""

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.console.link import Link
from harness.console.log import ConsoleLog
from harness.console.port import BytePort, PortGone
from harness.console.replay import milestones_of
from harness.console.sending import Pace
from harness.errors import ConfigError, HarnessError, InfraError

from .doubles import ScriptPort


def test_at_once() -> None:
    assert list(Pace().parts(b"a\nb\n")) == [(b"a\nb\n", 0.0)]
    assert list(Pace().parts(b"")) == []


def test_slowly() -> None:
    assert list(Pace(char_delay=0.5).parts(b"ab\n")) == [(b"a", 0.5), (b"b", 0.5), (b"\n", 0.5)]
    assert list(Pace(char_delay=0.5, chunk=2).parts(b"abc")) == [(b"ab", 1.0), (b"c", 0.5)]
    assert list(Pace(line_delay=2.0).parts(b"ab\ncd\r\ne")) == [(b"ab\n", 2.0), (b"cd\r\n", 2.0), (b"e", 0.0)]
    assert list(Pace(0.5, 2.0, 2).parts(b"ab\n\n")) == [(b"ab", 1.0), (b"\n", 2.5), (b"\n", 2.5)]


@given(st.binary(max_size=100), st.sampled_from([0.0, 0.5]), st.sampled_from([0.0, 1.0]), st.integers(1, 9))
def test_nothing_is_lost(data: bytes, char_delay: float, line_delay: float, chunk: int) -> None:
    parts = list(Pace(char_delay, line_delay, chunk).parts(data))
    assert b"".join(piece for piece, _ in parts) == data
    assert all(piece for piece, _ in parts)


def _link(port: BytePort, pace: Pace | None = None) -> Link:
    link = Link(lambda: port, "x", 30.0, pace=pace)
    link.open()
    return link


def test_a_link_waits_after_each_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[object] = []

    class Port(ScriptPort):
        def write(self, data: bytes) -> None:
            did.append(data)

    monkeypatch.setattr(time, "sleep", did.append)
    _link(Port(), Pace(0.25, 1.0)).write(b"ab\n")
    assert did == [b"a", 0.25, b"b", 0.25, b"\n", 1.25]


def test_a_sysrq_key_follows_its_break_whoever_else_types() -> None:
    order: list[bytes] = []
    broken, typed = threading.Event(), threading.Event()

    class Port(ScriptPort):
        def send_break(self, seconds: float = 0.25) -> None:
            broken.set()
            assert not typed.wait(0.2), "a login must wait"

        def write(self, data: bytes) -> None:
            order.append(data)
            typed.set()

    link = _link(Port())

    def login() -> None:
        broken.wait(30)
        link.write(b"root\n")

    other = threading.Thread(target=login)
    other.start()
    link.send_break(b"b")
    other.join()
    assert order == [b"b", b"root\n"]


@pytest.mark.gear
def test_sysrq_and_rates_of_a_console(tmp_path: Path) -> None:
    port = ScriptPort()
    with ConsoleLog(lambda: port, tmp_path, gather=0.0, baudrate=9600) as console:
        console.sysrq("b")
        assert (port.did, bytes(port.written)) == (["break 0.25"], b"b")
        for key in ("", "ab", "\n", "ä"):
            with pytest.raises(ValueError, match="one character"):
                console.sysrq(key)
        console.send_break()
        assert console.baud == 9600
        console.baud = 57600
        assert (console.baud, port.did[-1]) == (57600, "baud 57600")
        console.baud = 57600
    assert [rate.baud for rate in console.info().rates] == [57600], "a change is marked, the same again is none"
    assert milestones_of(tmp_path / "console.log")[1] == console.info()


@pytest.mark.gear
def test_a_rate_that_changes_with_the_boot(tmp_path: Path) -> None:
    ports = [ScriptPort([b"[    0.000000] Booting Linux on physical CPU 0x0\r\n"]), ScriptPort()]
    first, second = ports
    with ConsoleLog(lambda: ports.pop(0), tmp_path, gather=0.0, baud_after={"kernel.start": 921600}) as console:
        assert console.wait(lambda: console.baud == 921600, 30.0)
        first.gone = "unplugged"
        first.interrupt()
        assert console.wait(lambda: [gap.end is not None for gap in console.info().gaps] == [True], 30.0)
        assert first.did == ["baud 921600"]
        assert second.did == ["baud 921600"], "a line that returns has the rate that it had"
        second.say(b"[    1.000000] Run /init as init process\r\n")
        assert console.wait(lambda: "Run /init" in console.tail(), 30.0)
    info = console.info()
    (rate,) = info.rates
    assert (rate.baud, rate.offset) == (921600, info.gaps[0].offset)
    assert rate.t <= info.gaps[0].start
    assert milestones_of(tmp_path / "console.log")[1] == info


@pytest.mark.gear
def test_a_rate_that_the_line_cannot_have_is_told(tmp_path: Path) -> None:
    class Raw(ScriptPort):
        def set_baud(self, baud: int) -> None:
            raise ConfigError("the rate cannot be set from here")

    errors: list[HarnessError] = []
    port = Raw([b"[    0.000000] Booting Linux on physical CPU 0x0\r\n"])
    log = ConsoleLog(lambda: port, tmp_path, on_error=errors.append, gather=0.0, baud_after={"kernel.start": 921600})
    with log as console:
        assert console.wait(lambda: bool(errors), 30.0)
        with pytest.raises(ConfigError):
            console.baud = 9600
        assert console.baud == 115200
    assert console.info().rates == ()
    assert isinstance(errors[0], ConfigError)


def test_a_line_that_vanishes_while_its_rate_is_set_is_not_open() -> None:
    class Gone(ScriptPort):
        def set_baud(self, baud: int) -> None:
            raise PortGone("unplugged")

    ports = [ScriptPort(), Gone()]
    link = Link(lambda: ports.pop(0), "x", 30.0)
    link.open()
    link.set_baud(9600)
    link.lost("x")
    last = ports[0]
    with pytest.raises(InfraError, match="unplugged"):
        link.open()
    assert last.closed
    assert link.port is None
    for do in (lambda: link.write(b"x"), link.send_break):
        with pytest.raises(InfraError, match="console is lost"):
            do()
