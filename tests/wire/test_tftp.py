# SPDX-License-Identifier: GPL-2.0-or-later
"""Every way that a TFTP read can go."""

import hashlib
import os

import pytest

from harness.boot.events import FirstFrame, TransferProgress
from harness.wire import tftp
from tests.wire.frames import (
    EEPROM_OPTIONS,
    PI_IP,
    SERVER_IP,
    Wire,
    ack,
    bootp,
    data,
    download,
    error,
    ethernet,
    from_client,
    from_pi,
    from_server,
    ip,
    ip4,
    oack,
    rrq,
    udp,
)

PORT, TID = 30572, 40000


def request(path: str = "config.txt", port: int = PORT) -> bytes:
    return from_pi(port, 69, rrq(path, *EEPROM_OPTIONS))


def agree(size: int = 10, blksize: int = 1468, port: int = PORT, tid: int = TID) -> bytes:
    return from_server(tid, port, oack(("tsize", str(size)), ("blksize", str(blksize))))


def block(number: int, content: bytes, port: int = PORT, tid: int = TID) -> bytes:
    return from_server(tid, port, data(number, content))


def got(number: int, port: int = PORT, tid: int = TID) -> bytes:
    return from_pi(port, tid, ack(number))


def test_whole_file_is_complete_with_size_digest_and_speed() -> None:
    content = os.urandom(3 * 1468 + 77)
    wire = Wire().send(*download("5ce8a2f1/start4.elf", content))
    one = wire.transfer
    assert (one.result, one.kind, one.complete) == ("complete", "get", True)
    assert (one.path, one.bytes, one.tsize, one.blksize, one.blocks) == (
        "5ce8a2f1/start4.elf",
        len(content),
        len(content),
        1468,
        4,
    )
    assert one.sha256 == hashlib.sha256(content).hexdigest()
    assert (one.client_ip, one.client_port, one.server_ip, one.server_port) == (PI_IP, PORT, SERVER_IP, TID)
    assert (one.first_packet, one.last_packet, one.retransmissions, one.oack) == (1, 11, 0, True)
    assert one.asked_by == "eeprom"
    assert one.duration_s == pytest.approx(0.001)
    assert one.throughput == pytest.approx(len(content) / one.duration_s, abs=0.1)
    assert wire.started[0].options == EEPROM_OPTIONS
    assert wire.decoder.malformed == []


@pytest.mark.parametrize(
    ("middle", "count"),
    [
        ([got(1), block(2, b"b" * 8)], 1),  # DATA 2 was lost before it came here: the board asks again
        ([block(1, b"a" * 1468), got(1), block(2, b"b" * 8)], 1),  # the server repeats, the board answers it
        ([block(2, b"b" * 8), got(1), block(2, b"b" * 8)], 1),  # DATA 2 was lost behind this place
        ([block(2, b"b" * 8), block(2, b"b" * 8)], 1),  # DATA 2 or its ACK was lost: the server was first
        ([got(1), got(1), block(2, b"b" * 8)], 2),
        ([block(1, b"a" * 1468), got(1), got(1), block(2, b"b" * 8)], 2),
        ([block(2, b"b" * 8)], 0),
    ],
)
def test_a_loss_is_counted_once_on_whichever_side_of_it_the_capture_is_made(middle: list[bytes], count: int) -> None:
    wire = Wire().send(request(), agree(1476), got(0), block(1, b"a" * 1468), got(1), *middle, got(2))
    assert (wire.transfer.result, wire.transfer.retransmissions) == ("complete", count)


def test_a_block_that_the_servers_clock_sent_again_came_late() -> None:
    wire = Wire().send(request(), agree(1476), got(0), block(1, b"a" * 1468), got(1))
    wire.t += 2.0
    wire.send(block(2, b"b" * 8), got(2))
    assert (wire.transfer.result, wire.transfer.retransmissions) == ("complete", 1)


def test_an_acknowledgement_of_the_options_that_is_asked_for_again_is_counted_once() -> None:
    wire = Wire().send(request(), agree(), got(0), agree(), got(0), got(0), block(1, b"a" * 10), got(1))
    assert (wire.transfer.result, wire.transfer.retransmissions) == ("complete", 1)


def test_digest_counts_only_what_was_acknowledged() -> None:
    wire = Wire().send(request(), agree(3000), got(0), block(1, b"a" * 1468), got(1), block(2, b"b" * 1468)).finish()
    assert (wire.transfer.result, wire.transfer.bytes) == ("incomplete", 1468)
    assert wire.transfer.sha256 == hashlib.sha256(b"a" * 1468).hexdigest()
    assert wire.transfer.throughput is None


def test_size_multiple_of_block_size_needs_an_empty_last_block() -> None:
    content = b"x" * 1468 * 2
    frames = download("a", content)
    wire = Wire().send(*frames[:-2]).finish()
    assert wire.transfer.result == "incomplete"
    wire = Wire().send(*frames)
    assert (wire.transfer.result, wire.transfer.blocks, wire.transfer.bytes) == ("complete", 3, len(content))


def test_empty_file() -> None:
    wire = Wire().send(*download("empty", b""))
    assert (wire.transfer.result, wire.transfer.bytes) == ("complete", 0)
    assert wire.transfer.sha256 == hashlib.sha256(b"").hexdigest()


def test_last_block_counts_when_acknowledged_not_when_sent() -> None:
    wire = Wire().send(*download("a", b"12345")[:-1])
    assert wire.transfers == []
    wire.send(got(1))
    assert wire.transfer.complete


def test_server_without_options_sends_blocks_of_512() -> None:
    content = os.urandom(700)
    wire = Wire().send(request(), block(1, content[:512]), got(1), block(2, content[512:]), got(2))
    assert (wire.transfer.result, wire.transfer.blksize, wire.transfer.oack) == ("complete", 512, False)
    assert wire.transfer.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("first", [0, 1])
def test_block_counter_rolls_over_to_zero_or_one(first: int) -> None:
    content = os.urandom(8) * 65540 + b"end"
    wire = Wire().send(request("initramfs8"), agree(len(content), 8), got(0))
    there, back = wire.decoder._flows.values()  # the packets' short way: 131,000 frames take long to make
    for number, start in enumerate(range(0, len(content), 8), 1):
        wrapped = number if number < 0x10000 else number - 0x10000 + first
        packet = data(wrapped, content[start : start + 8])
        there(9, wire.t, 3, wrapped, packet, 0, len(packet))
        back(9, wire.t, 4, wrapped, b"", 0, 4)
    assert (wire.transfer.result, wire.transfer.blocks) == ("complete", 65541)
    assert wire.transfer.sha256 == hashlib.sha256(content).hexdigest()


def test_repeated_requests_and_blocks_are_counted() -> None:
    content = b"a" * 1468 + b"b"
    wire = Wire().send(
        request(),
        request(),
        agree(1469),
        agree(1469),
        got(0),
        block(1, content[:1468]),
        block(1, content[:1468]),
        got(1),
        block(1, content[:1468]),
        got(1),
        block(2, b"b"),
        got(2),
    )
    assert (wire.transfer.result, wire.transfer.retransmissions, wire.transfer.blocks) == ("complete", 3, 2)
    assert wire.transfer.sha256 == hashlib.sha256(content).hexdigest()
    assert len(wire.started) == 1


def test_blocks_out_of_order_are_put_in_order() -> None:
    content = os.urandom(1468 * 2 + 5)
    parts = [content[:1468], content[1468:2936], content[2936:]]
    wire = Wire().send(
        request(), agree(len(content)), got(0), block(2, parts[1]), block(1, parts[0]), block(3, parts[2])
    )
    wire.send(got(3))
    assert wire.transfer.sha256 == hashlib.sha256(content).hexdigest()


def test_window_of_blocks_under_one_acknowledgement() -> None:
    content = os.urandom(1468 * 5 + 5)
    parts = [content[at : at + 1468] for at in range(0, len(content), 1468)]
    answer = from_server(TID, PORT, oack(("blksize", "1468"), ("windowsize", "4")))
    wire = Wire().send(request(), answer, got(0), *(block(n, parts[n - 1]) for n in range(1, 5)), got(4))
    wire.send(block(5, parts[4]), block(6, parts[5]), got(6))
    assert (wire.transfer.result, wire.transfer.blocks) == ("complete", 6)
    assert wire.transfer.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("first_block", [False, True])
def test_probe_is_ended_by_the_client_on_purpose(first_block: bool) -> None:
    frames = [request(), block(1, b"a" * 512), got(1)] if first_block else [request(), agree()]
    wire = Wire().send(*frames, from_pi(PORT, TID, error(0, "Early terminate")))
    assert (wire.transfer.result, wire.transfer.kind) == ("early terminate", "probe")
    assert (wire.transfer.error_code, wire.transfer.error_text) == (0, "Early terminate")


def test_probe_of_a_one_block_file_before_it_is_acknowledged() -> None:
    wire = Wire().send(request(), block(1, b"a"), from_pi(PORT, TID, error(0, "Early terminate")))
    assert (wire.transfer.kind, wire.transfer.bytes, wire.transfer.sha256) == ("probe", 0, None)


def test_uefi_ends_its_probe_with_code_8() -> None:
    wire = Wire().send(request(), agree(), from_pi(PORT, TID, error(8, "User aborted the transfer")))
    assert wire.transfer.kind == "probe"


def test_early_terminate_in_the_middle_is_no_probe() -> None:
    frames = download("a", b"x" * 1468 * 4)[:-4]
    wire = Wire().send(*frames, from_pi(PORT, TID, error(0, "Early terminate")))
    assert (wire.transfer.kind, wire.transfer.result, wire.transfer.blocks) == ("get", "client error", 3)


def test_other_client_errors() -> None:
    wire = Wire().send(request(), agree(), from_pi(PORT, TID, error(3, "Disk full")))
    assert (wire.transfer.result, wire.transfer.error_code) == ("client error", 3)


@pytest.mark.parametrize(("code", "result"), [(1, "not found"), (2, "refused"), (0, "refused"), (5, "refused")])
def test_server_errors(code: int, result: str) -> None:
    text = "Datei /srv/tftp/überall nicht gefunden"
    wire = Wire().send(request("x"), from_server(TID, PORT, error(code, text)))
    assert (wire.transfer.result, wire.transfer.kind, wire.transfer.error_code) == (result, "get", code)
    assert wire.transfer.error_text == text
    assert wire.transfer.sha256 is None


def test_error_from_port_69_itself() -> None:
    wire = Wire().send(request("x"), from_server(69, PORT, error(1, "File not found")))
    assert wire.transfer.result == "not found"


def test_error_without_nul_keeps_its_text() -> None:
    wire = Wire().send(request("x"), from_server(TID, PORT, b"\0\5\0\1gone"))
    assert wire.transfer.error_text == "gone"


def test_client_that_asks_again_from_another_port_has_given_up() -> None:
    wire = Wire().send(request(port=PORT), request(port=PORT + 1), after=2.0)
    assert [one.result for one in wire.transfers] == ["timeout"]
    assert wire.transfer.end == wire.transfer.start
    wire.send(*download("config.txt", b"x", port=PORT + 1)[1:])
    assert [one.result for one in wire.transfers] == ["timeout", "complete"]


def test_firmware_that_asks_for_another_file_has_given_up_the_one_before() -> None:
    wire = Wire().send(request("start4.elf"), agree(), got(0), request("start.elf", PORT + 1))
    assert (wire.transfer.path, wire.transfer.result) == ("start4.elf", "timeout")


def test_an_operating_system_may_read_two_files_at_once() -> None:
    first = from_pi(50001, 69, rrq("a"), fragment=0x4000)
    second = from_pi(50002, 69, rrq("b"), fragment=0x4000)
    wire = Wire().send(first, second, block(1, b"A", 50001, 1001), block(1, b"B", 50002, 1002))
    wire.send(got(1, 50002, 1002), got(1, 50001, 1001))
    assert [(one.path, one.result, one.asked_by) for one in wire.transfers] == [
        ("b", "complete", "os"),
        ("a", "complete", "os"),
    ]


def test_client_that_begins_with_dhcp_again_has_given_up() -> None:
    wire = Wire().send(*download("kernel8.img", b"x" * 5000)[:6])
    wire.send(from_client(bootp((53, b"\1"))))
    assert wire.transfer.result == "timeout"


@pytest.mark.parametrize(("silence", "result"), [(0.5, "incomplete"), (6.0, "timeout")])
def test_silence_at_the_end_of_the_capture(silence: float, result: str) -> None:
    wire = Wire().send(*download("kernel8.img", b"x" * 5000)[:6])
    wire.send(block(3, b"x" * 1468), block(3, b"x" * 1468), after=silence / 2)  # the server goes on, the client is dead
    assert wire.finish().transfer.result == result


def test_same_port_for_the_next_file() -> None:
    wire = Wire().send(*download("a", b"1"), *download("b", b"2"))
    assert [(one.path, one.result) for one in wire.transfers] == [("a", "complete"), ("b", "complete")]


def test_same_port_for_another_file_before_the_end() -> None:
    wire = Wire().send(*download("a", b"1" * 9999)[:7], *download("b", b"2"))
    assert [(one.path, one.result) for one in wire.transfers] == [("a", "timeout"), ("b", "complete")]


def test_server_answers_a_repeated_request_from_two_ports_and_the_client_takes_the_second() -> None:
    wire = Wire().send(request(), request(), agree(1, tid=40000), agree(1, tid=40001), got(0, tid=40001))
    wire.send(block(1, b"x", tid=40001), got(1, tid=40001))
    assert (wire.transfer.result, wire.transfer.server_port, wire.transfer.bytes) == ("complete", 40001, 1)


def test_server_answers_from_two_ports_and_the_client_refuses_the_second() -> None:
    wire = Wire().send(request(), request(), agree(1), got(0), agree(1, tid=40001))
    wire.send(from_pi(PORT, 40001, error(5, "Unknown transfer ID")), block(1, b"x"), got(1))
    assert (wire.transfer.result, wire.transfer.server_port) == ("complete", TID)


def test_late_packets_of_an_ended_transfer_are_nobodys() -> None:
    wire = Wire().send(*download("a", b"1"), block(1, b"1"), got(1), from_server(TID, PORT, error(0)))
    assert len(wire.transfers) == 1
    assert wire.decoder.malformed == []


def test_announced_size_that_is_not_kept_is_told() -> None:
    wire = Wire().send(request(), agree(100), got(0), block(1, b"short"), got(1))
    assert wire.transfer.result == "complete"
    assert wire.transfer.error_text == "the server announced 100 octets (tsize) and sent 5"


def test_blocks_that_the_capture_lacks_leave_no_digest() -> None:
    content = os.urandom(1468 * 3 + 4)
    frames = download("a", content)
    del frames[5]  # block 2
    wire = Wire().send(*frames)
    assert (wire.transfer.result, wire.transfer.bytes, wire.transfer.sha256) == ("complete", len(content), None)
    assert "not seen" in wire.decoder.malformed[0][1]


def test_last_block_that_the_capture_lacks_is_told_by_its_acknowledgement() -> None:
    content = os.urandom(1468 * 3 + 4)
    frames = download("a", content)
    del frames[-2]
    wire = Wire().send(*frames)
    assert (wire.transfer.result, wire.transfer.bytes, wire.transfer.sha256) == ("complete", len(content), None)


def test_packets_cut_by_the_capture_leave_size_but_no_digest() -> None:
    content = os.urandom(1468 * 2 + 4)
    wire = Wire().send(*(frame[:96] for frame in download("a", content)))
    assert (wire.transfer.result, wire.transfer.bytes, wire.transfer.sha256) == ("complete", len(content), None)


def test_ethernet_padding_is_not_content() -> None:
    wire = Wire().send(*(frame.ljust(60, b"\0") for frame in download("a", b"1")))
    assert wire.transfer.sha256 == hashlib.sha256(b"1").hexdigest()


def test_vlan_tags_and_ip_options_take_the_long_way() -> None:
    content = os.urandom(2000)
    plain = download("a", content)
    tagged = [frame[:12] + b"\x81\x00\x00\x05" + frame[12:] for frame in plain]
    assert Wire().send(*tagged).transfer.sha256 == hashlib.sha256(content).hexdigest()
    routed = []
    for frame in plain:
        source, target = (PI_IP, SERVER_IP) if frame[26:30] == ip4(PI_IP) else (SERVER_IP, PI_IP)
        routed.append(frame[:14] + ip(source, target, 17, frame[34:], options=b"\x94\x04\0\0"))
    assert Wire().send(*routed).transfer.sha256 == hashlib.sha256(content).hexdigest()


def test_fragmented_blocks_count_but_leave_no_digest() -> None:
    content = os.urandom(1468 + 5)
    frames = download("a", content)
    datagram = udp(TID, PORT, data(1, content[:1468]))
    frames[3:4] = [
        ethernet(
            "02:00:00:00:00:01", "dc:a6:32:01:02:03", 0x0800, ip(SERVER_IP, PI_IP, 17, datagram[:1376], fragment=0x2000)
        ),
        ethernet(
            "02:00:00:00:00:01", "dc:a6:32:01:02:03", 0x0800, ip(SERVER_IP, PI_IP, 17, datagram[1376:], fragment=172)
        ),
    ]
    wire = Wire().send(*frames)
    assert (wire.transfer.result, wire.transfer.bytes, wire.transfer.sha256) == ("complete", len(content), None)
    assert wire.decoder.fragments == 1
    assert "fragment" in wire.decoder.malformed[0][1]


def test_icmp_tells_that_the_server_is_gone() -> None:
    frames = download("kernel8.img", b"x" * 5000)[:7]
    quoted = ip(PI_IP, SERVER_IP, 17, udp(PORT, TID, ack(2)))
    gone = ethernet(
        "02:00:00:00:00:01", "dc:a6:32:01:02:03", 0x0800, ip(SERVER_IP, PI_IP, 1, b"\3\3" + bytes(6) + quoted)
    )
    wire = Wire().send(*frames, gone).finish(10)
    assert (wire.transfer.result, wire.transfer.error_text) == ("timeout", f"ICMP port unreachable from {SERVER_IP}")


def test_progress_a_few_times_per_second() -> None:
    wire = Wire().send(*download("a", b"x" * 1468 * 1000), after=0.001)
    progress = wire.of(TransferProgress)
    assert 6 <= len(progress) <= 8  # two seconds
    assert [one.bytes for one in progress] == sorted(one.bytes for one in progress)
    assert progress[0].tsize == 1468 * 1000


def test_other_boards_are_not_followed() -> None:
    wire = Wire(["dc:a6:32:ff:ff:ff"]).send(*download("a", b"1")).finish()
    assert wire.events == []
    assert len(Wire(None).send(*download("a", b"1")).transfers) == 1


def test_first_frame_once_per_watched_address() -> None:
    wire = Wire().send(*download("a", b"1"))
    (first,) = wire.of(FirstFrame)
    assert (first.packet, first.mac, first.ethertype) == (1, "dc:a6:32:01:02:03", 0x0800)
    assert [one.mac for one in Wire(None).send(*download("a", b"1")).of(FirstFrame)] == [
        "dc:a6:32:01:02:03",
        "02:00:00:00:00:01",
    ]


def test_half_open_transfers_are_bounded() -> None:
    wire = Wire()
    for port in range(1024, 1024 + 600):
        wire.send(from_pi(port, 69, rrq(f"f{port}"), fragment=0x4000))
    assert len(wire.started) == 600
    assert len(wire.transfers) == 600 - tftp.MAX_OPEN
    assert wire.transfers[0].path == "f1024"
    assert wire.transfers[0].result == "incomplete"
    assert "f1024 is not followed" in wire.decoder.malformed[0][1]
    assert len(wire.finish().transfers) == 600


def test_names_that_would_harm_a_terminal() -> None:
    wire = Wire().send(from_pi(PORT, 69, rrq(b"a\x1b[31m\xff\xc3\xa4\xe2\x80\xae\n")))
    assert wire.started[0].path == "a\\x1b[31m\\xff\u00e4\\u202e\\n"


@pytest.mark.parametrize(
    "payload",
    [b"\0\1", b"\0\1name", b"\0\1name\0octet", b"\0", b"", b"\0\2name\0octet\0", b"\0\7junk", b"\0\1" + b"x" * 1400],
)
def test_requests_that_are_none_are_named(payload: bytes) -> None:
    wire = Wire().send(from_pi(PORT, 69, payload)).finish()
    assert wire.started == []
    assert [number for number, _ in wire.decoder.malformed].count(1) >= 1


def test_long_request_is_read_as_far_as_allowed() -> None:
    payload = rrq("a", ("tsize", "0"), *((f"o{n}", "1") for n in range(300)))
    wire = Wire().send(from_pi(PORT, 69, payload))
    assert wire.started[0].path == "a"
    assert "octets; 512 are allowed" in wire.decoder.malformed[0][1]


@pytest.mark.parametrize("value", ["", "7", "65465", "-1", "1e3", "9" * 400, "\u0661\u0662\u0663\u0664"])
def test_options_out_of_range_are_not_believed(value: str) -> None:
    wire = Wire().send(request(), from_server(TID, PORT, oack(("blksize", value))), got(0), block(1, b"x"), got(1))
    assert (wire.transfer.result, wire.transfer.blksize) == ("complete", 512)
    assert "blksize" in wire.decoder.malformed[0][1]


def test_oack_cut_short_is_named_and_the_transfer_goes_on() -> None:
    wire = Wire().send(request(), from_server(TID, PORT, b"\0\6tsize\x0055"), got(0), block(1, b"x"), got(1))
    assert wire.transfer.result == "complete"
    assert "value" in wire.decoder.malformed[0][1]


def test_udp_length_that_lies_is_named() -> None:
    lie = ethernet(
        "dc:a6:32:01:02:03", "02:00:00:00:00:01", 0x0800, ip(PI_IP, SERVER_IP, 17, udp(PORT, 69, rrq("a"), length=900))
    )
    wire = Wire().send(lie)
    assert wire.started == []
    assert "UDP of 900 octets" in wire.decoder.malformed[0][1]


def test_acknowledgement_far_ahead_is_cheap_and_leaves_no_digest() -> None:
    wire = Wire().send(request(), agree(10**9), got(0), got(30000)).finish()
    assert wire.transfer.sha256 is None


def test_flood_of_addresses_does_not_hide_the_board() -> None:
    wire = Wire()
    for number in range(5000):
        wire.send(ethernet(f"02:00:00:01:{number >> 8:02x}:{number & 255:02x}", "ff:ff:ff:ff:ff:ff", 0x88CC, b""))
    wire.send(request())
    assert [one.packet for one in wire.of(FirstFrame)] == [5001]


def test_absurd_window_keeps_little() -> None:
    answer = from_server(TID, PORT, oack(("windowsize", "65535")))
    wire = Wire().send(request(), answer, got(0), *(block(number, b"x" * 512) for number in range(1, 2000)))
    (transfer,) = wire.decoder._tftp._open.values()
    assert len(transfer._pending) <= 257
