# SPDX-License-Identifier: GPL-2.0-or-later
"""The small RPC client that asks NFS servers whether they are there."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from harness.servers.services import rpc

Answer = Callable[[bytes], bytes]


def reply(number: bytes, body: bytes = b"", *, kind: int = 1, denied: int = 0, status: int = 0) -> bytes:
    return number + struct.pack(">5I", kind, denied, 0, 0, status) + body


def record(data: bytes, *, last: bool = True) -> bytes:
    return struct.pack(">I", len(data) | (0x80000000 if last else 0)) + data


@pytest.fixture
def asked() -> Iterator[Callable[[Answer], socket.socket]]:
    """asked(answer) gives a socket to a server that sends answer(the call without its record mark) and closes."""
    threads, socks = [], []

    def connect(answer: Answer) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(5)

        def serve() -> None:
            with theirs:
                theirs.sendall(answer(theirs.recv(65536)[4:]))

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        socks.append(ours)
        return ours

    yield connect
    for thread in threads:
        thread.join(5)
    for sock in socks:
        sock.close()


def string(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text + b"\0" * (-len(text) % 4)


def test_a_port_is_asked_for(asked: Callable[[Answer], socket.socket]) -> None:
    def answer(call: bytes) -> bytes:
        # RFC 1833: program, version, protocol 6 (TCP), port 0, after the credentials (28 bytes) and the verifier (8).
        assert struct.unpack(">5I", call[4:24]) == (0, 2, 100000, 2, 3)
        assert call[-16:] == struct.pack(">4I", 100005, 3, 6, 0)
        return record(reply(call[:4], struct.pack(">I", 20048)))

    assert rpc.port_of(asked(answer), rpc.MOUNT, 3) == 20048


def test_exports_are_listed_whatever_their_groups(asked: Callable[[Answer], socket.socket]) -> None:
    yes, no = struct.pack(">I", 1), struct.pack(">I", 0)
    listing = yes + string(b"/srv/nfs/1") + yes + string(b"10.0.0.0/8") + yes + string(b"any") + no
    listing += yes + string(b"/home") + no + no
    assert rpc.exports(asked(lambda call: record(reply(call[:4], listing)))) == ["/srv/nfs/1", "/home"]


def test_a_reply_may_come_in_pieces(asked: Callable[[Answer], socket.socket]) -> None:
    sock = asked(lambda call: record(reply(call[:4])[:10], last=False) + record(reply(call[:4])[10:]))
    assert rpc.call(sock, rpc.NFS, 3, 0) == b""


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: b"",
        lambda _: b"\x80\0\0",
        lambda _: record(b""),
        lambda _: record(b"\0" * 20),
        lambda _: record(reply(b"\1\2\3\4")),
        lambda call: record(reply(call[:4], denied=1)),
        lambda call: record(reply(call[:4], kind=0)),
        lambda call: record(reply(call[:4], status=1)),
        lambda _: struct.pack(">I", 0x7FFFFFFF),
        lambda call: record(call[:4] + struct.pack(">4I", 1, 0, 0, 0xFFFFFFF0)),
    ],
    ids=[
        "closed",
        "cut mark",
        "empty",
        "short",
        "other call",
        "denied",
        "a call",
        "unknown program",
        "huge",
        "verifier",
    ],
)
def test_what_is_no_answer_is_refused(asked: Callable[[Answer], socket.socket], answer: Answer) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - a readiness check treats all of them alike
        rpc.call(asked(answer), rpc.NFS, 3, 0)


@pytest.mark.parametrize("listing", [b"\0\0\0\1", b"\0\0\0\1\0\0\0\4/srv", b""])
def test_a_cut_list_of_exports_is_refused(asked: Callable[[Answer], socket.socket], listing: bytes) -> None:
    with pytest.raises(OSError):  # noqa: PT011
        rpc.exports(asked(lambda call: record(reply(call[:4], listing))))


def test_a_refused_mount_is_an_error(asked: Callable[[Answer], socket.socket]) -> None:
    with pytest.raises(rpc.RpcError, match="/srv/nfs/none was refused"):
        rpc.mount(asked(lambda call: record(reply(call[:4], struct.pack(">I", 2)))), "/srv/nfs/none")
