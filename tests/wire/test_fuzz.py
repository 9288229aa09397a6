# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever comes over the wire: the decoder never raises, and all that it gives is fit for a record."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.boot.events import DhcpMessage, TransferEnded
from tests.wire.frames import (
    PI,
    PI_IP,
    SERVER,
    SERVER_IP,
    Wire,
    ack,
    arp,
    bootp,
    data,
    download,
    error,
    from_client,
    from_pi,
    from_server,
    oack,
    rrq,
    to_client,
)
from tests.wire.test_roots import ACK, call, pi_tcp, record, reply, server_tcp

VALID = [
    *download("kernel8.img", b"x" * 2000),
    from_client(bootp((53, b"\1"), (55, bytes(range(20))), (97, bytes(17)))),
    to_client(bootp((53, b"\2"), (52, b"\3"), op=2, file=b"\x0c\2pi\xff", sname=b"\xff")),
    arp(1, PI, PI_IP, SERVER, SERVER_IP),
    pi_tcp(2049, 2),
    from_pi(800, 20048, call()),
    from_server(20048, 800, reply()),
    pi_tcp(999, ACK, record(call())),
    server_tcp(999, record(reply())),
]


def check(wire: Wire) -> None:
    wire.finish(1.0)
    for event in wire.events:
        assert dataclasses.is_dataclass(event)
        if isinstance(event, TransferEnded):
            shown = event.transfer.path + event.transfer.error_text
            assert shown.isprintable()
            assert event.transfer.bytes >= 0
            event.transfer.model_dump_json()
        if isinstance(event, DhcpMessage):
            assert (event.file + event.sname).isprintable()
    assert not [reason for _, reason in wire.decoder.malformed if reason.startswith("not decoded")]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=20))
def test_random_octets(frames: list[bytes]) -> None:
    check(Wire(None).send(*frames))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([67, 68, 69, 2049, 30572, 111]), st.binary(max_size=400)), max_size=20))
def test_random_payloads(payloads: list[tuple[int, bytes]]) -> None:
    wire = Wire(None)
    for port, payload in payloads:
        wire.send(from_pi(30572, port, payload), from_server(40000, port, payload))
    check(wire)


@settings(deadline=None)
@given(st.data())
def test_mutated_frames_in_the_middle_of_a_transfer(choice: st.DataObject) -> None:
    frames = []
    for frame in VALID:
        octets = bytearray(frame)
        kind = choice.draw(st.sampled_from(["keep", "keep", "keep", "change", "cut", "grow", "drop", "twice"]))
        if kind == "change":
            for _ in range(choice.draw(st.integers(1, 4))):
                octets[choice.draw(st.integers(12, len(octets) - 1))] = choice.draw(st.integers(0, 255))
        elif kind == "cut":
            del octets[choice.draw(st.integers(0, len(octets))) :]
        elif kind == "grow":
            octets += choice.draw(st.binary(max_size=50))
        if kind != "drop":
            frames.append(bytes(octets))
        if kind == "twice":
            frames.append(bytes(octets))
    check(Wire(choice.draw(st.sampled_from([None, (PI,)]))).send(*frames))


NUMBERS = st.one_of(st.integers(0, 5), st.sampled_from([0x7FFF, 0x8000, 0xFFFE, 0xFFFF]), st.integers(0, 0xFFFF))
TFTP = st.one_of(
    st.builds(data, NUMBERS, st.sampled_from([b"", b"x" * 8, b"x" * 512, b"y" * 1468])),
    st.builds(ack, NUMBERS),
    st.builds(error, st.integers(0, 9), st.text(max_size=20)),
    st.just(oack(("blksize", "8"), ("windowsize", "9"), ("tsize", "16"))),
    st.builds(rrq, st.sampled_from(["a", "b", "fixup.dat"]), st.sampled_from([("tsize", "0"), ("", "")])),
    st.binary(max_size=20),
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([69, 1000, 1001]), TFTP), max_size=60))
def test_any_order_of_tftp_packets(packets: list[tuple[bool, int, bytes]]) -> None:
    wire = Wire().send(from_pi(5000, 69, rrq("a", ("tsize", "0"))))
    for client, port, payload in packets:
        wire.send(from_pi(5000, port, payload) if client else from_server(port, 5000, payload))
    check(wire)
    assert len(wire.transfers) == len(wire.started)
