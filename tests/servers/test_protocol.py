# SPDX-License-Identifier: GPL-2.0-or-later
"""What owner and keeper say to each other: whole messages, with descriptors, and nothing else."""

import os
import socket
from collections.abc import Iterator

import pytest

from harness.servers import protocol
from tests.servers.conftest import open_descriptors

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with a, b:
        yield a, b


def test_a_message_and_its_descriptors_arrive_together(pair: Pair) -> None:
    read, write = os.pipe()
    protocol.send(pair[0], {"id": 1, "call": "spawn", "args": {"argv": ["ä"]}}, [write])
    message, fds = protocol.receive(pair[1])
    assert message == {"id": 1, "call": "spawn", "args": {"argv": ["ä"]}}
    assert len(fds) == 1
    assert not os.get_inheritable(fds[0])
    os.write(fds[0], b"through")
    assert os.read(read, 10) == b"through"
    protocol.close_all([read, write, *fds])


def test_messages_keep_their_borders(pair: Pair) -> None:
    for number in range(3):
        protocol.send(pair[0], {"id": number})
    assert [protocol.receive(pair[1])[0] for _ in range(3)] == [{"id": 0}, {"id": 1}, {"id": 2}]


def test_the_end_of_the_other_side_is_told_apart_from_a_message(pair: Pair) -> None:
    pair[0].shutdown(socket.SHUT_WR)
    assert protocol.receive(pair[1]) == (None, [])


@pytest.mark.parametrize("data", [b"\xff\xfe", b"{", b"[1]", b"7", b'"text"', b"null", b"\0"])
def test_hostile_bytes_are_refused_and_their_descriptors_closed(pair: Pair, data: bytes) -> None:
    read, write = os.pipe()
    socket.send_fds(pair[0], [data], [write])
    before = open_descriptors()
    with pytest.raises(protocol.ProtocolError):
        protocol.receive(pair[1])
    assert open_descriptors() == before
    protocol.close_all([read, write])


def test_a_message_that_does_not_fit_is_refused_before_it_is_sent(pair: Pair) -> None:
    with pytest.raises(protocol.ProtocolError, match="the limit is"):
        protocol.send(pair[0], {"text": "x" * protocol.MAX_BYTES})


@pytest.mark.parametrize(
    "message",
    [{}, {"id": 1}, {"id": "1", "call": "spawn"}, {"id": 1, "call": 7}, {"id": 1, "call": "spawn", "args": []}],
)
def test_a_request_lacks_nothing(message: protocol.Message) -> None:
    with pytest.raises(protocol.ProtocolError, match="not a request"):
        protocol.request(message)


def test_the_largest_message_goes_through(pair: Pair) -> None:
    text = "x" * (protocol.MAX_BYTES - 20)
    protocol.send(pair[0], {"text": text})
    assert protocol.receive(pair[1])[0] == {"text": text}
