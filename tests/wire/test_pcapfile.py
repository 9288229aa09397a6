# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading capture files, the good, the cut and the hostile."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.wire import links, pcapng
from harness.wire.pcapfile import CaptureFile
from harness.wire.replay import events_of, replay
from tests.wire.frames import T0, Wire, download, write_pcap, write_pcapng

FRAMES = download("kernel8.img", b"k" * 5000)


def read(path: Path) -> list[tuple[int, float, int, bytes]]:
    with CaptureFile(path) as file:
        return list(file)


def stamps(count: int) -> list[float]:
    return [(round(T0 * 1e6) + 100 * number) / 1e6 for number in range(1, count + 1)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_pcap_of_both_byte_orders_and_resolutions(tmp_path: Path, order: str, nano: bool) -> None:
    write_pcap(tmp_path / "a.pcap", FRAMES, order=order, nano=nano)
    packets = read(tmp_path / "a.pcap")
    assert [packet[3] for packet in packets] == FRAMES
    assert [packet[1] for packet in packets] == stamps(len(FRAMES))
    assert [packet[0] for packet in packets] == list(range(1, len(FRAMES) + 1))
    assert {packet[2] for packet in packets} == {1}


def test_pcapng_of_our_own(tmp_path: Path) -> None:
    write_pcapng(tmp_path / "a.pcapng", FRAMES)
    with CaptureFile(tmp_path / "a.pcapng") as file:
        packets = list(file)
        (interface,) = file.interfaces
    assert [packet[3] for packet in packets] == FRAMES
    assert [packet[1] for packet in packets] == stamps(len(FRAMES))
    assert (interface.name, interface.filter, interface.received, interface.dropped) == (
        "tap-1",
        "not port 22",
        len(FRAMES),
        0,
    )
    assert interface.end == stamps(len(FRAMES))[-1]


def section(order: str, *blocks: tuple[int, bytes]) -> bytes:
    octets = b""
    for kind, content in ((pcapng.SHB, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)), *blocks):
        body = content + bytes(-len(content) % 4)
        length = len(body) + 12
        octets += struct.pack(order + "II", kind, length) + body + struct.pack(order + "I", length)
    return octets


def idb(order: str, link: int, *options: tuple[int, bytes]) -> tuple[int, bytes]:
    tail = b"".join(struct.pack(order + "HH", code, len(v)) + v + bytes(-len(v) % 4) for code, v in options)
    return 1, struct.pack(order + "HHI", link, 0, 0) + tail


def epb(order: str, interface: int, units: int, data: bytes, size: int | None = None) -> tuple[int, bytes]:
    size = len(data) if size is None else size
    return 6, struct.pack(order + "IIIII", interface, units >> 32, units & 0xFFFFFFFF, size, size) + data


def test_sections_interfaces_resolutions_offsets_and_unknown_blocks(tmp_path: Path) -> None:
    little = section(
        "<",
        idb("<", 1, (9, b"\x09"), (2, "eth\u00df".encode())),
        idb("<", 113, (9, b"\x8a"), (14, struct.pack("<q", 100))),
        (0x0BAD, b"unknown"),
        (4, bytes(8)),
        epb("<", 0, 5_000_000_001, b"first", 5),
        epb("<", 1, 2048, b"second", 6),
    )
    big = section(
        ">",
        idb(">", 276),
        epb(">", 0, 7_000_000, b"third", 5),
        (3, struct.pack(">I", 6) + b"simple"),
        (2, struct.pack(">HHIIII", 0, 0, 0, 9_000_000, 3, 3) + b"old"),
    )
    (tmp_path / "a").write_bytes(little + big)
    assert read(tmp_path / "a") == [
        (1, 5.000000001, 1, b"first"),
        (2, 102.0, 113, b"second"),
        (3, 7.0, 276, b"third"),
        (4, 0.0, 276, b"simple"),
        (5, 9.0, 276, b"old"),
    ]


@pytest.mark.parametrize("make", [write_pcap, write_pcapng])
def test_every_cut_is_read_up_to_the_last_whole_packet(tmp_path: Path, make: object) -> None:
    path = tmp_path / "a"
    make(path, FRAMES[:3])  # type: ignore[operator]
    whole = path.read_bytes()
    for length in range(4, len(whole), 1):
        path.write_bytes(whole[:length])
        with CaptureFile(path) as file:
            packets = list(file)
            assert [packet[3] for packet in packets] == FRAMES[: len(packets)]
            if file.truncated is not None:
                assert file.truncated[0] <= length
    assert not replay(path).capture.complete or make is write_pcap


def test_tail_of_zeros_is_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_pcapng(path, FRAMES)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + bytes(4096))
    with CaptureFile(path) as file:
        assert len(list(file)) == len(FRAMES)
        assert file.truncated == (size, f"block after packet {len(FRAMES)}")
    assert not replay(path).capture.complete


HOSTILE = {
    "length 8": section("<") + struct.pack("<II", 5, 8) + bytes(20),
    "length odd": section("<") + struct.pack("<II", 5, 33) + bytes(40),
    "length huge": section("<") + struct.pack("<II", 6, 0x7FFFFFFC) + bytes(40),
    "lengths differ": section("<") + struct.pack("<II", 9, 16) + bytes(4) + struct.pack("<I", 20),
    "no interface": section("<", epb("<", 0, 1, b"x")),
    "interface 7": section("<", idb("<", 1), epb("<", 7, 1, b"x")),
    "interface of an earlier section": section("<", idb("<", 1)) + section("<", epb("<", 0, 1, b"x")),
    "packet larger than its block": section("<", idb("<", 1), epb("<", 0, 1, b"x", 5000)),
    "packet block of 20": section("<", idb("<", 1), (6, bytes(8))),
    "statistics of nobody": section("<", (5, bytes(12))),
    "interface without a body": section("<", (1, bytes(4))),
    "byte order": section("<")[:8] + b"junk" + section("<")[12:],
    "old packet": section("<", idb("<", 1), (2, struct.pack("<HHIIII", 0, 0, 0, 0, 400, 400))),
    "pcap packet": b"\xd4\xc3\xb2\xa1" + bytes(16) + b"\1\0\0\0" + struct.pack("<IIII", 1, 1, 0x7FFFFFFF, 1) + bytes(9),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_damage_is_told_with_file_and_offset(tmp_path: Path, name: str) -> None:
    path = tmp_path / "hostile.pcapng"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(ConfigError, match="at byte") as raised:
        read(path)
    assert raised.value.place == str(path)
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("octets", "words"),
    [(b"", "empty"), (b"\x1f\x8b\x08\x00", "gzip"), (b"hello world", "neither"), (b"\xd4", "neither")],
)
def test_files_that_are_no_captures(tmp_path: Path, octets: bytes, words: str) -> None:
    (tmp_path / "a").write_bytes(octets)
    with pytest.raises(ConfigError, match=words):
        CaptureFile(tmp_path / "a")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        CaptureFile(tmp_path / "missing")
    with pytest.raises(ConfigError, match="directory"):
        CaptureFile(tmp_path)


def test_absurd_resolutions_and_stamps_do_no_harm(tmp_path: Path) -> None:
    blocks = [idb("<", 1, (9, b"\x7f"), (14, b"\xff" * 8)), idb("<", 1, (9, b"\xff")), idb("<", 1, (9, b"\0"))]
    (tmp_path / "a").write_bytes(section("<", *blocks, *(epb("<", n, (1 << 64) - 1, b"x" * 60) for n in range(3))))
    assert len(read(tmp_path / "a")) == 3
    events_of(tmp_path / "a")


@settings(deadline=None)  # it writes files
@given(st.data())
def test_mutated_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("f") / "a"
    data.draw(st.sampled_from([write_pcap, write_pcapng]))(path, FRAMES[:3])
    octets = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(octets)
    with contextlib.suppress(ConfigError):
        replay(path)


@pytest.mark.parametrize(
    ("link", "head"),
    [
        (links.LINUX_SLL, b"\0\0\0\1\0\6" + b"\xdc\xa6\x32\1\2\3\0\0" + b"\x08\0"),
        (links.LINUX_SLL2, b"\x08\0\0\0\0\0\0\1\0\1\0\6" + b"\xdc\xa6\x32\1\2\3\0\0"),
        (links.RAW_IP, b""),
        (links.IPV4, b""),
    ],
)
def test_other_link_layers(tmp_path: Path, link: int, head: bytes) -> None:
    write_pcap(tmp_path / "a.pcap", [head + frame[14:] for frame in FRAMES], link=link)
    seen = replay(tmp_path / "a.pcap")
    (transfer,) = [event.transfer for event in seen.events if hasattr(event, "transfer")]
    assert (transfer.result, transfer.bytes) == ("complete", 5000)
    assert seen.malformed == []


def test_unknown_link_layer_is_told(tmp_path: Path) -> None:
    write_pcap(tmp_path / "a.pcap", [b"abc"], link=147)
    assert replay(tmp_path / "a.pcap").malformed == [(1, "packet of 3 octets of link type 147 is not read")]


def test_recorded_frames_give_the_same_events_as_live_ones(tmp_path: Path) -> None:
    write_pcapng(tmp_path / "a.pcapng", FRAMES)
    live = Wire().send(*FRAMES).finish()
    seen = replay(tmp_path / "a.pcapng", ["DC-A6-32-01-02-03"])
    assert seen.events == live.events
    assert events_of(tmp_path / "a.pcapng", ["dc:a6:32:01:02:03"]) == live.events
    assert (seen.capture.packets, seen.capture.received, seen.capture.dropped) == (len(FRAMES), len(FRAMES), 0)
    assert (seen.capture.interface, seen.capture.filter, seen.capture.file) == ("tap-1", "not port 22", "a.pcapng")
    assert seen.capture.complete


def test_capture_that_lost_packets_is_not_complete(tmp_path: Path) -> None:
    head = pcapng.section("t") + pcapng.interface("eth0", 1, 0, "")
    for received, dropped, complete in ((1, 0, True), (2, 1, False), (2, 0, False)):
        (tmp_path / "a").write_bytes(
            head + pcapng.packet(1, b"x" * 20, 20) + pcapng.statistics(0, 1, received, dropped)
        )
        assert replay(tmp_path / "a").capture.complete is complete


def test_transfer_that_the_recorded_end_leaves_silent(tmp_path: Path) -> None:
    micro = round(T0 * 1e6)
    head = pcapng.section("t") + pcapng.interface("eth0", 1, 0, "")
    packets = b"".join(pcapng.packet(micro, frame, len(frame)) for frame in FRAMES[:5])
    for seconds, result in ((1, "incomplete"), (30, "timeout")):
        end = pcapng.statistics(micro, micro + seconds * 10**6, 5, 0)
        (tmp_path / "a").write_bytes(head + packets + end)
        event = events_of(tmp_path / "a")[-1]
        assert event.transfer.result == result  # type: ignore[union-attr]
        assert event.t == T0 + seconds
