# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP and ARP as events."""

import pytest

from harness.boot.events import ArpMessage, DhcpMessage
from tests.wire.frames import (
    BROADCAST,
    PI,
    PI_IP,
    SERVER,
    SERVER_IP,
    Wire,
    arp,
    bootp,
    ethernet,
    from_client,
    ip,
    ip4,
    to_client,
    udp,
)

# A Pi 4's DISCOVER, as captured from a Pi 400 with the option 97 of a Pi 4B (serial 91cdf03d).
PI4_OPTIONS = bytes.fromhex(
    "350101"
    "370e01032b3c42438081828384858687"
    "3c20505845436c69656e743a417263683a30303030303a554e44493a303032303031"
    "5d020000"
    "5e03010201"
    "6111003469505214 31d0000109 02f73df0cd91".replace(" ", "")
    + "ff"
)


def seen(*frames: bytes, macs: tuple[str, ...] | None = (PI,)) -> list[DhcpMessage]:
    return Wire(macs).send(*frames).of(DhcpMessage)


def test_discover_of_a_pi4_to_the_last_field() -> None:
    payload = bootp(end=b"")[:240] + PI4_OPTIONS
    (one,) = seen(from_client(payload))
    assert (one.type, one.xid, one.chaddr, one.src_mac) == ("DISCOVER", 0xD0E3497C, PI, PI)
    assert (one.src_ip, one.dst_ip, one.src_port, one.dst_port) == ("0.0.0.0", "255.255.255.255", 68, 67)
    assert (one.ttl, one.ip_id, one.udp_checksum, one.secs, one.flags, one.hops, one.length) == (
        64,
        0x506C,
        0,
        0,
        0,
        0,
        322,
    )
    assert [code for code, _ in one.options] == [53, 55, 60, 93, 94, 97]
    assert one.option(97) == bytes.fromhex("00346950521431d000010902f73df0cd91")
    assert one.option(60) == b"PXEClient:Arch:00000:UNDI:002001"
    assert one.from_client
    assert one.packet == 1


def test_offer_keeps_both_options_43_and_the_nul_of_66() -> None:
    menu = b"\x06\x01\x03\x0a\x04\x00PXE\x09\x14\x00\x00\x11Raspberry Pi Boot\xff"
    offer = bootp(
        (53, b"\2"),
        (54, ip4(SERVER_IP)),
        (43, menu),
        (66, SERVER_IP.encode() + b"\0"),
        (43, b"x"),
        op=2,
        yiaddr=PI_IP,
        siaddr=SERVER_IP,
    )
    (one,) = seen(to_client(offer))
    assert (one.type, one.yiaddr, one.siaddr, one.src_ip) == ("OFFER", PI_IP, SERVER_IP, SERVER_IP)
    assert one.options[1:] == ((54, ip4(SERVER_IP)), (43, menu), (66, b"10.77.0.1\0"), (43, b"x"))
    assert not one.from_client


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (1, "DISCOVER"),
        (2, "OFFER"),
        (3, "REQUEST"),
        (4, "DECLINE"),
        (5, "ACK"),
        (6, "NAK"),
        (7, "RELEASE"),
        (8, "INFORM"),
    ],
)
def test_message_types(number: int, name: str) -> None:
    assert seen(from_client(bootp((53, bytes((number,))))))[0].type == name


@pytest.mark.parametrize("kind", [(), ((53, b"\x63"),), ((53, b"\1\1"),), ((53, b""),)])
@pytest.mark.parametrize(("op", "name"), [(1, "BOOTREQUEST"), (2, "BOOTREPLY")])
def test_message_without_a_usable_type(kind: tuple[tuple[int, bytes], ...], op: int, name: str) -> None:
    assert seen(from_client(bootp(*kind, op=op)))[0].type == name


def test_broadcast_offers_are_the_boards_by_its_hardware_address_only() -> None:
    mine = bootp((53, b"\2"), op=2)
    other = bootp((53, b"\2"), op=2, chaddr="dc:a6:32:99:99:99")
    frames = to_client(mine, BROADCAST, "255.255.255.255"), to_client(other, BROADCAST, "255.255.255.255")
    assert [one.chaddr for one in seen(*frames)] == [PI]
    assert len(seen(*frames, macs=None)) == 2


def test_message_for_another_address_sent_by_the_board() -> None:
    (one,) = seen(from_client(bootp((53, b"\1"), chaddr="dc:a6:32:99:99:99")))
    assert (one.src_mac, one.chaddr) == (PI, "dc:a6:32:99:99:99")


def test_options_in_file_and_sname() -> None:
    payload = bootp((53, b"\2"), (52, b"\3"), op=2, file=b"\x42\x01a\xff", sname=b"\x43\x01b\xff")
    (one,) = seen(to_client(payload))
    assert one.options[2:] == ((66, b"a"), (67, b"b"))
    assert (one.file, one.sname) == ("", "")


def test_file_and_sname_as_text() -> None:
    (one,) = seen(to_client(bootp((53, b"\2"), op=2, file=b"boot\x1b.img\0junk", sname=b"srv\xff")))
    assert (one.file, one.sname) == ("boot\\x1b.img", "srv\\xff")


@pytest.mark.parametrize("tail", [b"\x61\x11\x00abc", b"\x61", b"\x61\xff" + bytes(40)])
def test_option_longer_than_the_packet_is_named_and_the_others_are_kept(tail: bytes) -> None:
    wire = Wire().send(from_client(bootp((53, b"\1"), end=tail)))
    (one,) = wire.of(DhcpMessage)
    assert one.options == ((53, b"\1"),)
    assert "option 97" in wire.decoder.malformed[0][1]


def test_options_without_end_mark_and_with_pads() -> None:
    (one,) = seen(from_client(bootp((53, b"\1"), end=b"\0\0\x0c\x02pi")))
    assert one.options == ((53, b"\1"), (12, b"pi"))


def test_bootp_of_before_dhcp() -> None:
    payload = bootp()[:236] + bytes(64)
    (one,) = seen(from_client(payload))
    assert (one.type, one.options) == ("BOOTREQUEST", ())


def test_short_bootp_is_named() -> None:
    wire = Wire().send(from_client(bootp()[:100]))
    assert wire.of(DhcpMessage) == []
    assert "BOOTP of 100 octets" in wire.decoder.malformed[0][1]


def test_relayed_and_tagged() -> None:
    payload = bootp((53, b"\1"))
    relayed = ethernet(SERVER, SERVER, 0x0800, ip("10.0.0.9", SERVER_IP, 17, udp(67, 67, payload)), vlan=(5, 6))
    assert seen(relayed)[0].src_mac == SERVER


def test_tftp_client_on_a_dhcp_port_number_is_no_dhcp() -> None:
    from tests.wire.frames import download  # noqa: PLC0415

    wire = Wire().send(*download("a", b"1", port=4011))
    assert wire.transfer.complete
    assert wire.of(DhcpMessage) == []


def test_arp_of_the_board_and_for_it() -> None:
    wire = Wire().send(
        arp(1, PI, PI_IP, "00:00:00:00:00:00", SERVER_IP),
        arp(2, SERVER, SERVER_IP, PI, PI_IP, to=PI),
        arp(1, SERVER, SERVER_IP, "00:00:00:00:00:00", "10.77.0.200"),
    )
    messages = wire.of(ArpMessage)
    assert [(one.op, one.sender_ip, one.target_ip) for one in messages] == [
        ("request", PI_IP, SERVER_IP),
        ("reply", SERVER_IP, PI_IP),
    ]
    assert (messages[1].sender_mac, messages[1].target_mac, messages[1].packet) == (SERVER, PI, 2)


@pytest.mark.parametrize(
    "frame", [arp(1, PI, PI_IP, PI, PI_IP)[:30], arp(9, PI, PI_IP, PI, PI_IP), PI.encode()[:10], b"", bytes(13)]
)
def test_bad_frames_are_named(frame: bytes) -> None:
    wire = Wire().send(frame)
    assert wire.of(ArpMessage) == []
    assert len(wire.decoder.malformed) == 1


def test_arp_of_another_network_is_nothing() -> None:
    frame = bytearray(arp(1, PI, PI_IP, PI, PI_IP))
    frame[14:16] = b"\0\6"
    wire = Wire().send(bytes(frame))
    assert wire.of(ArpMessage) == []
    assert wire.decoder.malformed == []


def test_ipv6_and_unknown_ethernet_types_are_nothing() -> None:
    wire = Wire().send(ethernet(PI, BROADCAST, 0x86DD, bytes(100)), ethernet(PI, BROADCAST, 0x88CC, b"lldp"))
    assert wire.decoder.malformed == []
    assert len(wire.events) == 1  # the first frame
