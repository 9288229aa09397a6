# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP on the wire: which requests a board made, what was answered, and what of it arrived."""

import hashlib
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.boot.events import HttpAsked, HttpEnded, TransferProgress
from harness.boot.record import HttpFetch
from harness.wire.http import GIVE_UP, MAX_OPEN
from tests.wire.frames import PI, PI_IP, SERVER, SERVER_IP, Wire, bootp, ethernet, from_client, ip

FIN, SYN, RST, ACK = 1, 2, 4, 16
BOARD_FIRST, SERVER_FIRST = 1000, 0xFFFFFF00  # the server's numbers wrap around
AGENT = "rpiboot/1.0 (d03114; version:5f18ffb6 timestamp:1722344555)"
MSS_ONLY = struct.pack("!BBH", 2, 4, 1460)
LINUX = MSS_ONLY + bytes.fromhex("0402080a00000001000000000103 0307")
BODY = bytes(range(256)) * 20


def get(path: str = "/net_install/boot.img", agent: str = AGENT, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: 10.77.0.1\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n".encode()


def ok(body: bytes = BODY, status: str = "200 OK", *more: str, length: bool = True) -> bytes:
    lines = [f"HTTP/1.0 {status}", "Server: test", *([f"Content-Length: {len(body)}"] if length else []), *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Talk:
    """One connection, frame by frame; offsets are of each side's own stream."""

    def __init__(self, port: int = 40000, server_port: int = 80, board: str = PI) -> None:
        self.ports, self.board = (port, server_port), board

    def _frame(self, ours: bool, seq: int, ack: int, flags: int, payload: bytes, options: bytes) -> bytes:
        ports = self.ports if ours else self.ports[::-1]
        size = 20 + len(options)
        segment = struct.pack(
            "!HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, size // 4 << 4, flags, 1000, 0, 0
        )
        macs, ips = (self.board, SERVER), (PI_IP, SERVER_IP)
        if not ours:
            macs, ips = macs[::-1], ips[::-1]
        return ethernet(*macs, 0x0800, ip(*ips, 6, segment + options + payload))

    def board_says(self, at: int, heard: int, payload: bytes = b"", flags: int = ACK, options: bytes = b"") -> bytes:
        return self._frame(True, BOARD_FIRST + 1 + at, SERVER_FIRST + 1 + heard, flags, payload, options)

    def server_says(self, at: int, heard: int, payload: bytes = b"", flags: int = ACK) -> bytes:
        return self._frame(False, SERVER_FIRST + 1 + at, BOARD_FIRST + 1 + heard, flags, payload, b"")

    def syn(self, options: bytes = MSS_ONLY) -> bytes:
        return self._frame(True, BOARD_FIRST, 0, SYN, b"", options)

    def opened(self) -> list[bytes]:
        return [
            self.syn(),
            self._frame(False, SERVER_FIRST, BOARD_FIRST + 1, SYN | ACK, b"", MSS_ONLY),
            self.board_says(0, 0),
        ]

    def asked(self, request: bytes) -> list[bytes]:
        return [*self.opened(), self.board_says(0, 0, request), self.server_says(0, len(request))]

    def answered(self, request: bytes, answer: bytes, *, close: bool = True, mss: int = 1460) -> list[bytes]:
        """The whole of it, in order."""
        frames, asked = self.asked(request), len(request)
        for at in range(0, len(answer), mss):
            piece = answer[at : at + mss]
            frames += [self.server_says(at, asked, piece), self.board_says(asked, at + len(piece))]
        if close:
            frames += [self.server_says(len(answer), asked, flags=FIN | ACK)]
            frames += [self.board_says(asked, len(answer) + 1, flags=FIN | ACK)]
        return frames


def fetches(wire: Wire) -> list[HttpFetch]:
    return [event.fetch for event in wire.of(HttpEnded)]


def fetch(wire: Wire) -> HttpFetch:
    (one,) = fetches(wire)
    return one


def test_file_is_followed_from_its_syn_to_its_last_octet():
    wire = Wire().send(*Talk(server_port=8000).answered(get(), ok())).finish()
    (asked,) = wire.of(HttpAsked)
    assert (asked.path, asked.asked_by, asked.server_port) == ("/net_install/boot.img", "eeprom", 8000)
    assert asked.packet == 4
    one = fetch(wire)
    assert (one.result, one.status, one.bytes, one.length) == ("complete", 200, len(BODY), len(BODY))
    assert one.sha256 == hashlib.sha256(BODY).hexdigest()
    assert (one.host, one.agent, one.method) == ("10.77.0.1", AGENT, "GET")
    assert one.first_packet == 1
    assert one.throughput is not None
    assert one.server_ip == SERVER_IP
    assert wire.decoder.malformed == []


def test_octets_count_when_they_are_acknowledged():
    frames = Talk().answered(get(), ok(), close=False)
    assert fetch(Wire().send(*frames[:-1]).finish()).bytes < len(BODY)
    assert fetch(Wire().send(*frames[:-1]).finish()).result == "incomplete"
    assert fetch(Wire().send(*frames[:-1]).finish(GIVE_UP + 1)).result == "timeout"
    assert fetch(Wire().send(*frames)).result == "complete"


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("404 File not found", "not found"),
        ("301 Moved", "refused"),
        ("403 Forbidden", "refused"),
        ("206 Partial", "complete"),
    ],
)
def test_status_tells(status: str, result: str):
    one = fetch(Wire().send(*Talk().answered(get(), ok(b"text", status))).finish())
    assert (one.result, one.status, one.status_text) == (result, int(status[:3]), status[4:])


def test_board_that_resets_after_a_refusal_has_been_refused():
    talk, answer = Talk(), ok(b"x" * 3000, "404 None")
    frames = [*talk.asked(get()), talk.server_says(0, len(get()), answer[:1460])]
    frames.append(talk.board_says(len(get()), 1460, flags=RST | ACK))
    assert fetch(Wire().send(*frames).finish()).result == "not found"


def test_answer_without_a_length_ends_with_the_connection():
    one = fetch(Wire().send(*Talk().answered(get(), ok(length=False))).finish())
    assert (one.result, one.length, one.bytes) == ("complete", None, len(BODY))
    assert one.sha256 == hashlib.sha256(BODY).hexdigest()
    cut = Talk().answered(get(), ok(length=False), close=False)
    assert fetch(Wire().send(*cut).finish()).result == "incomplete"


def test_repeated_and_misordered_segments_change_nothing():
    talk, answer, asked = Talk(), ok(), len(get())
    pieces = [(at, answer[at : at + 1000]) for at in range(0, len(answer), 1000)]
    frames = talk.asked(get())
    for at, piece in (pieces[1], pieces[0], pieces[0], *reversed(pieces[2:])):
        frames.append(talk.server_says(at, asked, piece))
    frames.append(talk.board_says(asked, len(answer)))
    one = fetch(Wire().send(*frames).finish())
    assert (one.result, one.retransmissions) == ("complete", 1)
    assert one.sha256 == hashlib.sha256(BODY).hexdigest()


def test_what_the_capture_lacks_costs_the_hash_alone():
    talk = Talk()
    frames = talk.answered(get(), ok())
    wire = Wire().send(*frames[:7], *frames[8:]).finish()
    one = fetch(wire)
    assert (one.result, one.bytes, one.sha256) == ("complete", len(BODY), None)
    assert any("not seen" in reason for _, reason in wire.decoder.malformed)


def test_connection_that_began_before_the_capture():
    wire = Wire().send(*Talk().answered(get(), ok())[3:]).finish()
    assert (fetch(wire).result, fetch(wire).bytes) == ("complete", len(BODY))


def test_several_requests_on_one_connection():
    talk, head, answer = Talk(), get("/a", "UefiHttpBoot/1.0", "HEAD"), ok(b"", "200 OK")
    second, body = get("/a", "UefiHttpBoot/1.0"), ok(BODY[:700])
    frames = talk.answered(head, answer, close=False)
    frames += [talk.board_says(len(head), len(answer), second)]
    frames += [talk.server_says(len(answer), len(head + second), body)]
    frames += [talk.board_says(len(head + second), len(answer + body))]
    one, two = fetches(Wire().send(*frames).finish())
    assert (one.method, one.result, one.bytes) == ("HEAD", "complete", 0)
    assert (two.method, two.result, two.bytes) == ("GET", "complete", 700)
    assert two.first_packet > one.last_packet
    assert two.sha256 == hashlib.sha256(BODY[:700]).hexdigest()


@pytest.mark.parametrize(
    ("agent", "who"),
    [
        (AGENT, "eeprom"),
        ("UefiHttpBoot/1.0", "uefi"),
        ("iPXE/1.21.1", "ipxe"),
        ("U-Boot/2024.01", "u-boot"),
        ("curl/8.5", "os"),
    ],
)
def test_agent_tells_who_asks(agent: str, who: str):
    assert fetch(Wire().send(*Talk().answered(get(agent=agent), ok())).finish()).asked_by == who


def test_nobody_listens():
    talk = Talk()
    refused = talk._frame(False, 0, BOARD_FIRST + 1, RST | ACK, b"", b"")
    one = fetch(Wire().send(talk.syn(), refused).finish())
    assert (one.result, one.path, one.method, one.server_port) == ("no server", "", "", 80)
    one = fetch(Wire().send(talk.syn(), talk.syn()).finish(9.0))
    assert (one.result, one.retransmissions) == ("no answer", 1)


def test_answer_that_the_board_does_not_take():
    talk = Talk()
    syn, answer, _ack = talk.opened()
    one = fetch(Wire().send(syn, answer, syn, answer).finish(9.0))
    assert (one.result, one.method, one.retransmissions) == ("no connection", "", 1)


def test_connections_of_a_running_system_to_nowhere_are_its_own():
    talk = Talk()
    assert fetches(Wire().send(talk.syn(LINUX)).finish(99.0)) == []


def test_other_protocols_are_left_alone():
    talk = Talk(server_port=22)
    frames = [*talk.opened(), talk.server_says(0, 0, b"SSH-2.0-x\r\n"), talk.board_says(0, 11, b"SSH-2.0-OpenSSH\r\n")]
    wire = Wire().send(*frames, talk.board_says(17, 11, b"GARBAGE /")).finish(9.0)
    assert fetches(wire) == []
    assert wire.decoder._http._open == {}


def test_requests_of_others_are_not_ours():
    assert fetches(Wire().send(*Talk(board="02:00:00:00:00:99").answered(get(), ok())).finish()) == []


def test_board_that_begins_anew_has_given_up():
    talk = Talk()
    discover = from_client(bootp((53, b"\1")))
    wire = Wire().send(*talk.asked(get()), discover, *talk.asked(get()), discover).finish()
    assert [one.result for one in fetches(wire)] == ["client error", "client error"]
    wire = Wire().send(*talk.asked(get()), *talk.answered(get(), ok())).finish()
    assert [one.result for one in fetches(wire)] == ["client error", "complete"]


def test_flood_of_connections_is_bounded():
    wire = Wire()
    for port in range(MAX_OPEN + 50):
        wire.send(*Talk(2000 + port).asked(get()))
    assert len(wire.decoder._http._open) == MAX_OPEN
    assert len(fetches(wire.finish())) == MAX_OPEN + 50


def test_progress_of_a_long_transfer():
    wire = Wire()
    for frame in Talk().answered(get(), ok(bytes(60000))):
        wire.send(frame, after=0.02)
    told: list[Any] = wire.of(TransferProgress)
    assert 3 < len(told) < 20
    assert told[-1].tsize == 60000


@settings(deadline=None)
@given(st.data())
def test_no_mutation_raises(choice: st.DataObject) -> None:
    frames = []
    for frame in [*Talk().answered(get(), ok(BODY[:2000])), *Talk(40001).answered(get(), ok(b"", "404 x"))]:
        octets = bytearray(frame)
        kind = choice.draw(st.sampled_from(["keep", "keep", "keep", "change", "cut", "drop", "twice"]))
        if kind == "change":
            octets[choice.draw(st.integers(12, len(octets) - 1))] = choice.draw(st.integers(0, 255))
        elif kind == "cut":
            del octets[choice.draw(st.integers(0, len(octets))) :]
        frames += [] if kind == "drop" else [bytes(octets)] * (2 if kind == "twice" else 1)
    wire = Wire(None).send(*frames).finish(9.0)
    assert not [reason for _, reason in wire.decoder.malformed if reason.startswith("not decoded")]
    for one in fetches(wire):
        assert (one.path + one.host + one.agent + one.status_text).isprintable()
        assert one.bytes >= 0
        assert one.result != "complete" or one.length in (None, one.bytes)
        one.model_dump_json()
