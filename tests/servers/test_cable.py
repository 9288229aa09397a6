# SPDX-License-Identifier: GPL-2.0-or-later
"""What a bad cable decides about frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.servers.cable.faults import QUEUE, Cable, DataBlocks, Faults

BOARD, SERVER = b"\xdc\xa6\x32\x01\x02\x03", b"\x02\0\0\0\0\x01"
BOARD_IP, SERVER_IP = b"\x0a\x4d\0\x65", b"\x0a\x4d\0\x01"


def udp(to_board: bool, board_port: int, server_port: int, payload: bytes) -> bytes:
    ends = [(BOARD, BOARD_IP, board_port), (SERVER, SERVER_IP, server_port)]
    (src, src_ip, sport), (dst, dst_ip, dport) = ends[::-1] if to_board else ends
    ip = b"\x45\0" + (28 + len(payload)).to_bytes(2) + b"\0\0\x40\0\x40\x11\0\0" + src_ip + dst_ip
    header = sport.to_bytes(2) + dport.to_bytes(2) + (8 + len(payload)).to_bytes(2) + b"\0\0"
    return dst + src + b"\x08\0" + ip + header + payload


def rrq(port: int) -> bytes:
    return udp(False, port, 69, b"\0\x01start4.elf\0octet\0")


def data(port: int, block: int, octets: int = 512) -> bytes:
    return udp(True, port, 50000, b"\0\x03" + (block & 0xFFFF).to_bytes(2) + bytes(octets))


def passed(cable: Cable, frames: list[bytes], *, to_board: bool = True) -> list[int]:
    """How often each frame comes out."""
    return [len(cable.carry(frame, float(at), to_board=to_board)) for at, frame in enumerate(frames)]


def test_a_sound_cable_carries_everything_once_at_once() -> None:
    assert Cable(Faults()).carry(data(4000, 1), 7.0, to_board=True) == [7.0]


def test_exactly_the_named_blocks_of_every_transfer_are_lost_once() -> None:
    cable = Cable(Faults(lose_data=(2, 4)))
    for port in (4000, 4001, 4000):  # a port may be used again
        assert cable.carry(rrq(port), 0.0, to_board=False)
        blocks = [data(port, number) for number in (1, 2, 2, 3, 4, 4, 4, 5)]
        assert passed(cable, blocks) == [1, 0, 1, 1, 0, 1, 1, 1]


def test_exactly_the_named_blocks_are_doubled_once() -> None:
    cable = Cable(Faults(duplicate_data=(1, 3)))
    cable.carry(rrq(4000), 0.0, to_board=False)
    assert passed(cable, [data(4000, number) for number in (1, 1, 2, 3, 3)]) == [2, 1, 1, 2, 1]


def test_a_block_number_that_wraps_around_counts_on() -> None:
    blocks = DataBlocks()
    blocks.number(rrq(4000), to_board=False)
    seen = [blocks.number(data(4000, number, 0), to_board=True) for number in range(1, 65540)]
    assert seen[-1] == (1, 65539)


@pytest.mark.parametrize(
    "frame",
    [
        data(4000, 1),  # nobody asked
        udp(True, 4000, 50000, b"\0\x06tsize\0" + b"12\0"),
        udp(True, 4000, 50000, b"\0\x03"),
        udp(True, 4000, 50000, b"\0\x03\0\x01")[:44],
        b"",
        bytes(60),
    ],
)
def test_other_frames_are_no_blocks(frame: bytes) -> None:
    blocks = DataBlocks()
    blocks.number(rrq(4001), to_board=False)
    assert blocks.number(frame, to_board=True) is None


def test_the_share_is_as_asked_and_the_same_every_time() -> None:
    frames = [data(4000, number) for number in range(20000)]
    first = passed(Cable(Faults(loss=0.05, duplicate=0.02)), frames)
    assert first == passed(Cable(Faults(loss=0.05, duplicate=0.02)), frames)
    assert first != passed(Cable(Faults(loss=0.05, duplicate=0.02, seed=2)), frames)
    assert first.count(0) == pytest.approx(1000, rel=0.15)
    assert first.count(2) == pytest.approx(0.95 * 400, rel=0.2)


def test_what_one_fault_does_leaves_the_others_as_they_were() -> None:
    frames = [data(4000, number) for number in range(2000)]
    alone = passed(Cable(Faults(loss=0.1)), frames)
    with_more = passed(Cable(Faults(loss=0.1, duplicate=0.1, delay=0.01, reorder=0.5)), frames)
    assert [not count for count in alone] == [not count for count in with_more]


def test_both_ways_have_their_own_chance() -> None:
    frames = [data(4000, number) for number in range(500)]
    cable = Cable(Faults(loss=0.5))
    assert passed(cable, frames) != passed(cable, frames, to_board=False)


def test_delay_jitter_and_reorder() -> None:
    cable = Cable(Faults(delay=0.02, jitter=0.005))
    late = [cable.carry(data(4000, 1), 1.0, to_board=True)[0] - 1.0 for _ in range(500)]
    assert 0.015 <= min(late) < 0.016
    assert 0.024 < max(late) <= 0.025
    cable = Cable(Faults(delay=0.02, reorder=0.25))
    late = [cable.carry(data(4000, 1), 1.0, to_board=True)[0] - 1.0 for _ in range(1000)]
    assert {round(one, 6) for one in late} == {0.0, 0.02}
    assert late.count(0.0) == pytest.approx(250, rel=0.2)


def test_a_slow_cable_lets_frames_wait_and_loses_what_would_wait_too_long() -> None:
    cable = Cable(Faults(rate=10_000_000))
    frame = data(4000, 1, 1468)
    whole = (len(frame) + 24) * 8 / 10_000_000
    times = [cable.carry(frame, 0.0, to_board=True) for _ in range(1000)]
    out = [one for time in times for one in time]
    assert out[:3] == pytest.approx([whole, 2 * whole, 3 * whole])
    assert len(out) == pytest.approx(QUEUE / whole + 1, abs=1)
    assert cable.carry(frame, 1.0, to_board=True) == pytest.approx([1.0 + whole]), "the queue is empty again"
    assert cable.carry(frame, 0.0, to_board=False) == pytest.approx([whole]), "the other way is free"


def test_a_port_without_portfast_is_silent_after_each_link_up() -> None:
    cable = Cable(Faults(spanning_tree=30.0))
    assert cable.carry(data(4000, 1), 99.0, to_board=True)
    cable.link_up(100.0)
    assert cable.carry(data(4000, 1), 129.9, to_board=False) == []
    assert cable.carry(data(4000, 1), 130.0, to_board=False) == [130.0]


@given(st.lists(st.tuples(st.binary(max_size=80), st.booleans())), st.floats(0, 1), st.floats(0, 1))
def test_any_frame_is_carried(frames: list[tuple[bytes, bool]], loss: float, again: float) -> None:
    cable = Cable(Faults(loss=loss, duplicate=again, lose_data=(1,), rate=1_000_000))
    for frame, to_board in frames:
        assert all(due >= 1.0 for due in cable.carry(frame, 1.0, to_board=to_board))
