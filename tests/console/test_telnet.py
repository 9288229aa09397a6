# SPDX-License-Identifier: GPL-2.0-or-later
"""Telnet and its COM port, without a server: whatever comes, in whatever pieces."""

from hypothesis import given
from hypothesis import strategies as st

from harness.console.telnet import (
    BINARY,
    COM_PORT,
    DO,
    DONT,
    ECHO,
    IAC,
    SB,
    SE,
    SGA,
    WILL,
    WONT,
    Telnet,
)

AGREES = bytes((IAC, DO, COM_PORT, IAC, DO, BINARY, IAC, WILL, BINARY))


def _opened() -> Telnet:
    telnet = Telnet(com_port=True)
    telnet.start()
    assert telnet.receive(AGREES) == (b"", b"")
    return telnet


def _fed(telnet: Telnet, data: bytes, size: int) -> tuple[bytes, bytes]:
    texts, answers = zip(*(telnet.receive(data[i : i + size]) for i in range(0, len(data), size)), strict=True)
    return b"".join(texts), b"".join(answers)


def test_a_server_that_agrees_is_binary_and_has_a_com_port() -> None:
    telnet = Telnet(com_port=True)
    assert telnet.start().startswith(bytes((IAC, WILL, COM_PORT)))
    assert (telnet.com_port, telnet.settled) == (None, False)
    assert telnet.receive(AGREES) == (b"", b""), "no answer to an answer: two ends would go on for ever"
    assert (telnet.com_port, telnet.settled) == (True, True)
    assert telnet.escape(b"\r\n\xff") == b"\r\n\xff\xff"


def test_a_server_that_refuses() -> None:
    telnet = Telnet(com_port=True)
    telnet.start()
    assert telnet.receive(bytes((IAC, DONT, COM_PORT, IAC, DONT, BINARY, IAC, WONT, BINARY))) == (b"", b"")
    assert (telnet.com_port, telnet.settled) == (False, True)
    assert telnet.escape(b"a\rb\n") == b"a\r\0b\n"
    assert telnet.receive(b"a\r\0b\r\n") == (b"a\rb\r\n", b"")


def test_what_a_server_wants_of_its_own() -> None:
    telnet = Telnet(com_port=False)
    assert telnet.receive(bytes((IAC, WILL, ECHO))) == (b"", bytes((IAC, DO, ECHO)))
    assert telnet.receive(bytes((IAC, WILL, ECHO))) == (b"", b"")
    assert telnet.receive(bytes((IAC, DO, SGA))) == (b"", bytes((IAC, WILL, SGA)))
    assert telnet.receive(bytes((IAC, DO, 24))) == (b"", bytes((IAC, WONT, 24))), "a terminal's type is not told"
    assert telnet.receive(bytes((IAC, DO, COM_PORT))) == (b"", bytes((IAC, WONT, COM_PORT)))
    assert telnet.receive(bytes((IAC, WONT, ECHO))) == (b"", bytes((IAC, DONT, ECHO)))


def test_the_rate_that_a_server_confirms() -> None:
    telnet = _opened()
    # 65535 baud is made of the octet that has to be doubled.
    answer = bytes((IAC, SB, COM_PORT, 101, 0, 0)) + b"\xff\xff" * 2 + bytes((IAC, SE))
    for size in (1, 3, 100):
        before = telnet.baud_answers
        assert _fed(telnet, b"x" + answer + b"y", size) == (b"xy", b"")
        assert (telnet.baud, telnet.baud_answers) == (65535, before + 1)
    assert telnet.set_baud(65535) == bytes((IAC, SB, COM_PORT, 1, 0, 0)) + b"\xff\xff" * 2 + bytes((IAC, SE))


def test_a_subnegotiation_without_an_end_does_not_fill_the_memory() -> None:
    telnet = _opened()
    _fed(telnet, bytes((IAC, SB, 99)) + b"x" * 100_000, 1000)
    assert len(telnet._pending) < 2000
    assert telnet.receive(b"on")[0].endswith(b"on")


@given(st.binary(max_size=200), st.integers(1, 50), st.booleans())
def test_octets_pass_whole_however_they_are_cut(data: bytes, size: int, binary: bool) -> None:
    telnet = _opened() if binary else Telnet(com_port=False)
    assert _fed(telnet, telnet.escape(data) + b"|", size) == (data + b"|", b"")


@given(st.lists(st.sampled_from([0, 1, 3, 13, 44, 101, 240, 243, 250, 251, 253, 254, 255]), max_size=60))
def test_no_octets_raise(octets: list[int]) -> None:
    for telnet in (_opened(), Telnet(com_port=False)):
        for piece in (bytes(octets), bytes(octets[:7])):
            telnet.receive(piece)
