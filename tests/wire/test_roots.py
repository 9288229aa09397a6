# SPDX-License-Identifier: GPL-2.0-or-later
"""The root file system on the wire."""

import struct

import pytest

from harness.boot.events import IscsiLogin, NfsMount, RootConnect
from harness.wire.roots import DENIED
from tests.wire.frames import PI, PI_IP, SERVER, SERVER_IP, Wire, ethernet, from_pi, from_server, ip, tcp

SYN, SYN_ACK, ACK = 0x02, 0x12, 0x10
PATH = b"/srv/nfs/91cdf03d"


def pi_tcp(port: int, flags: int, payload: bytes = b"", *, source: int = 900, sequence: int = 1) -> bytes:
    return ethernet(PI, SERVER, 0x0800, ip(PI_IP, SERVER_IP, 6, tcp(source, port, flags, payload, sequence)))


def server_tcp(port: int, payload: bytes) -> bytes:
    return ethernet(SERVER, PI, 0x0800, ip(SERVER_IP, PI_IP, 6, tcp(port, 900, ACK, payload)))


def call(path: bytes = PATH, xid: int = 7, version: int = 3, procedure: int = 1, program: int = 100005) -> bytes:
    auth_unix = struct.pack("!II", 1, 24) + bytes(24)
    head = struct.pack("!IIIIII", xid, 0, 2, program, version, procedure) + auth_unix + bytes(8)
    return head + struct.pack("!I", len(path)) + path + bytes(-len(path) % 4)


def reply(status: int = 0, xid: int = 7) -> bytes:
    return struct.pack("!III", xid, 1, 0) + bytes(8) + struct.pack("!II", 0, status) + bytes(40)


def record(message: bytes) -> bytes:
    return struct.pack("!I", 0x80000000 | len(message)) + message


@pytest.mark.parametrize(
    ("port", "protocol"), [(2049, "nfs"), (3260, "iscsi"), (3300, "ceph"), (6789, "ceph"), (10809, "nbd")]
)
def test_first_packet_of_a_connection(port: int, protocol: str) -> None:
    wire = Wire().send(pi_tcp(port, SYN), pi_tcp(port, SYN), pi_tcp(port, ACK), pi_tcp(port, SYN, sequence=99))
    assert [(one.protocol, one.server_ip, one.port, one.packet) for one in wire.of(RootConnect)] == [
        (protocol, SERVER_IP, port, 1),
        (protocol, SERVER_IP, port, 4),
    ]


def test_other_connections_are_nothing() -> None:
    wire = Wire().send(pi_tcp(22, SYN), pi_tcp(2049, SYN_ACK), server_tcp(2049, b""))
    assert wire.of(RootConnect) == []


def test_nfs_over_udp_has_no_connection_but_a_first_packet() -> None:
    wire = Wire().send(from_pi(800, 2049, bytes(40)), from_pi(800, 2049, bytes(40)))
    assert [(one.protocol, one.packet) for one in wire.of(RootConnect)] == [("nfs", 1)]


def test_many_connections_are_bounded() -> None:
    wire = Wire().send(*(pi_tcp(2049, SYN, sequence=n) for n in range(3000)))
    assert len(wire.of(RootConnect)) == 3000
    assert len(wire.decoder._root._connections) <= 256


@pytest.mark.parametrize("status", [0, 13, 2])
def test_mount_over_udp(status: int) -> None:
    wire = Wire().send(from_pi(800, 20048, call()), from_pi(800, 20048, call()), from_server(20048, 800, reply(status)))
    assert [(one.path, one.server_ip, one.status, one.packet) for one in wire.of(NfsMount)] == [
        (PATH.decode(), SERVER_IP, None, 1),
        (PATH.decode(), SERVER_IP, status, 3),
    ]


def test_mount_over_tcp_on_any_port() -> None:
    wire = Wire().send(pi_tcp(38021, ACK, record(call())), server_tcp(38021, record(reply(13))))
    assert [one.status for one in wire.of(NfsMount)] == [None, 13]


@pytest.mark.parametrize(
    "answer", [struct.pack("!III", 7, 1, 1) + bytes(20), struct.pack("!III", 7, 1, 0) + bytes(8) + struct.pack("!I", 2)]
)
def test_refusal_by_rpc_itself(answer: bytes) -> None:
    wire = Wire().send(from_pi(800, 20048, call()), from_server(20048, 800, answer))
    assert [one.status for one in wire.of(NfsMount)] == [None, DENIED]


@pytest.mark.parametrize("other", [{"procedure": 3}, {"version": 4}, {"program": 100003}])
def test_other_calls_are_nothing(other: dict[str, int]) -> None:
    assert Wire().send(from_pi(800, 20048, call(**other))).of(NfsMount) == []  # type: ignore[arg-type]


def test_replies_to_others_are_nothing() -> None:
    wire = Wire().send(from_pi(800, 20048, call(xid=1)), from_server(20048, 800, reply(xid=2)))
    assert len(wire.of(NfsMount)) == 1


@pytest.mark.parametrize("length", range(0, len(call()), 3))
def test_cut_calls_and_replies_do_no_harm(length: int) -> None:
    wire = Wire().send(from_pi(800, 20048, call()[:length]), pi_tcp(38021, ACK, record(call())[:length]))
    wire.send(from_pi(801, 20048, call(xid=9)), from_server(20048, 801, reply(xid=9)[:length]))
    assert all(one.path for one in wire.of(NfsMount) if one.packet == 3)


def test_path_that_lies_about_its_length() -> None:
    lie = call()[:-24] + struct.pack("!I", 0xFFFFFFFF) + b"/\x1b[2J"
    (one,) = Wire().send(from_pi(800, 20048, lie)).of(NfsMount)
    assert one.path.endswith("/\\x1b[2J")


TARGET = "iqn.2026-01.lab.piboot:91cdf03d"


def login_request(*words: str, stage: int = 0x81) -> bytes:
    """A Login Request PDU (RFC 7143, 11.12): opcode 0x03, immediate; its text in the data segment."""
    text = b"".join(word.encode() + b"\0" for word in words)
    return bytes([0x43, stage, 0, 0, 0]) + len(text).to_bytes(3) + bytes(40) + text + bytes(-len(text) % 4)


def login_response(status: int, flags: int = 0x87) -> bytes:
    """A Login Response PDU (11.13): opcode 0x23, Status-Class and Status-Detail at octet 36."""
    return bytes([0x23, flags]) + bytes(34) + status.to_bytes(2) + bytes(10)


@pytest.mark.parametrize("status", [0, 0x0201, 0x0203, 0x0301])
def test_an_iscsi_login_and_its_outcome(status: int) -> None:
    asked = login_request("InitiatorName=iqn.x:pi", f"TargetName={TARGET}", "AuthMethod=CHAP,None")
    wire = Wire().send(
        pi_tcp(3260, SYN),
        pi_tcp(3260, ACK, asked),
        server_tcp(3260, login_response(0, flags=0x00)),  # the negotiation goes on
        pi_tcp(3260, ACK, login_request("CHAP_A=5")),
        server_tcp(3260, login_response(status)),
        server_tcp(3260, login_response(status)),  # repeated by TCP
    )
    (login,) = wire.of(IscsiLogin)
    assert (login.target, login.status, login.server_ip, login.packet) == (TARGET, status, SERVER_IP, 5)


@pytest.mark.parametrize("cut", [48, 60, 100])
def test_a_login_in_several_segments(cut: int) -> None:
    """As Linux sends it: the header in a segment of its own."""
    asked = login_request("InitiatorName=iqn.x:pi", f"TargetName={TARGET}", "SessionType=Normal")
    wire = Wire().send(
        pi_tcp(3260, ACK, asked[:cut]),
        pi_tcp(3260, ACK),
        pi_tcp(3260, ACK, asked[cut:]),
        server_tcp(3260, login_response(0)),
    )
    assert [(login.target, login.status) for login in wire.of(IscsiLogin)] == [(TARGET, 0)]


def test_what_is_no_login_is_nothing() -> None:
    wire = Wire().send(
        server_tcp(3260, login_response(0x0201)),  # to nobody's request
        pi_tcp(3260, ACK, b"\x43\x81"),
        pi_tcp(3260, ACK, login_request("TargetName=" + "x" * 4000)[:60]),  # its rest never comes
        server_tcp(3260, bytes(48)),
        server_tcp(3260, login_response(0)),
    )
    assert wire.of(IscsiLogin) == []


def test_a_hostile_name_of_a_target_is_bounded_and_shown() -> None:
    wire = Wire().send(
        pi_tcp(3260, ACK, login_request("TargetName=\x1b[2J" + "x" * 1000)), server_tcp(3260, login_response(0))
    )
    (login,) = wire.of(IscsiLogin)
    assert login.target.isprintable()
    assert len(login.target) < 300
