# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP: which OFFERs the bootloader takes, what it does without one, and how it asks again."""

from itertools import pairwise

import pytest

from harness.emulator.dhcp import dotted, offers_boot
from tests.emulator import samples
from tests.emulator.netserver import (
    ACK,
    BOARD_IP,
    OFFER,
    OPTION_43,
    SERVER_IP,
    NetServer,
    Packet,
    together,
    udp,
)
from tests.emulator.simulator import World, boot, silence

PROXY_IP, PROXY_MAC = bytes((10, 77, 0, 3)), bytes.fromhex("020000000003")
CLASS = (60, b"PXEClient")


def dhcp(world: World) -> list[tuple[float, Packet]]:
    return [(when, p) for when, frame in world.sent if (p := udp(frame)) and p.dport == 67]


def tftp_server(world: World) -> str:
    """What the NET line says, "" when it never came to that."""
    lines = [line for line in world.text.splitlines() if " NET " in line]
    return lines[0].split("tftp ")[1] if lines else ""


@pytest.mark.parametrize(
    ("offer", "server"),
    [
        ([CLASS, (43, OPTION_43)], "10.77.0.1"),
        ([(66, b"10.77.0.1")], "10.77.0.1"),
        ([(66, b"10.77.0.1\0")], "10.77.0.1"),  # dnsmasq's NUL (FW#871)
        ([(66, b"10.77.0.9"), CLASS, (43, OPTION_43)], "10.77.0.9"),
        ([CLASS, (43, OPTION_43), (66, b"10.77.0.9")], "10.77.0.9"),
        ([(66, b"boot.example.org"), CLASS, (43, OPTION_43)], "10.77.0.1"),
        ([(43, b"Raspberry Pi Boot   ")], "10.77.0.1"),  # raw text (EE#58)
        ([CLASS, (43, OPTION_43.replace(b"\x14\0\0\x11", b"\x17\0\0\x14").replace(b"Boot", b"Boot   "))], "10.77.0.1"),
        ([(43, b"\x06\x01\x03\xff"), (43, OPTION_43)], "10.77.0.1"),  # two options 43 in one OFFER
    ],
)
def test_offer_that_says_where_the_files_are(offer: list[tuple[int, bytes]], server: str):
    world = boot(NetServer(samples.tree(), offer=tuple(offer)), seconds=12)
    assert tftp_server(world) == server


@pytest.mark.parametrize(
    "offer",
    [
        [],
        [(66, b"boot.example.org")],
        [(66, b"10.77.0.999")],
        [CLASS, (43, OPTION_43.replace(b"Raspberry Pi Boot", b"Boot from network"))],
        [CLASS, (43, b"\x06\x01\x03\xff")],
        [(67, b"start4.elf")],
    ],
)
def test_offer_that_does_not(offer: list[tuple[int, bytes]]):
    server = NetServer(samples.tree(), offer=tuple(offer))
    world = boot(server, seconds=30)
    assert tftp_server(world) == ""
    assert not server.requests
    assert len(server.discovers) >= 4
    assert "DHCP recv OFFER (2) expect OFFER" in world.text


def test_server_of_option_43_is_siaddr_or_else_the_sender():
    far = bytes((10, 77, 0, 200))
    assert tftp_server(boot(NetServer(samples.tree(), siaddr=far), seconds=8)) == "10.77.0.200"
    assert tftp_server(boot(NetServer(samples.tree(), siaddr=b"\0" * 4), seconds=8)) == "10.77.0.1"


@pytest.mark.parametrize("proxy_first", [True, False])
def test_proxy_and_lease_server_in_either_order(proxy_first: bool):
    lease = NetServer({}, offer=(), delay=0.02 if proxy_first else 0.001, tftp=False)
    proxy = NetServer(
        samples.tree(),
        ip=PROXY_IP,
        mac=PROXY_MAC,
        yiaddr=b"\0" * 4,
        siaddr=PROXY_IP,
        delay=0.001 if proxy_first else 0.02,
    )
    world = boot(together(lease, proxy))
    assert world.ended == "handover", world.text
    assert tftp_server(world) == "10.77.0.3"
    assert len(lease.requests) == 1
    assert dict(lease.requests[0].dhcp_options)[54] == SERVER_IP
    assert dict(lease.requests[0].dhcp_options)[50] == BOARD_IP


def test_two_full_servers_the_first_offer_wins():
    first = NetServer(samples.tree())
    second = NetServer({}, ip=PROXY_IP, mac=PROXY_MAC, yiaddr=bytes((10, 77, 0, 99)), siaddr=PROXY_IP, delay=0.01)
    world = boot(together(first, second))
    assert world.ended == "handover"
    assert not second.log
    assert dict(second.requests[0].dhcp_options)[54] == SERVER_IP


def test_without_offers_it_asks_every_four_seconds_for_45():
    world = boot(silence, seconds=52)
    times = [when for when, _packet in dhcp(world)]
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps[:10] == pytest.approx([4.0] * 10)
    assert sum(1 for when in times if when < times[0] + 45) == 12
    assert len({packet.xid for _when, packet in dhcp(world)[:12]}) == 1
    for line in ("Stopping network", "NETBOOT CANCEL", "NETBOOT init failed", "Boot mode: RESTART (0f) order 0"):
        assert line in world.text


def test_older_bootloader_doubles_its_waits():
    world = boot(silence, seconds=45, date="2019-11-18")
    times = [when for when, _packet in dhcp(world)]
    assert [b - a for a, b in pairwise(times[:4])] == pytest.approx([4.0, 8.0, 16.0])


def test_timeouts_by_eeprom():
    world = boot(silence, seconds=30, keys={"DHCP_TIMEOUT": 5000, "DHCP_REQ_TIMEOUT": 1000, "BOOT_ORDER": "0xe2"})
    times = [when for when, _packet in dhcp(world)]
    assert len(times) == 5
    assert times[1] - times[0] == pytest.approx(1.0)
    assert world.now - times[0] == pytest.approx(5.0)


def test_late_offer_of_the_third_discover_is_taken():
    server = NetServer(samples.tree())
    seen = []

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        packet = udp(frame)
        if packet and packet.dport == 67 and packet.dhcp_kind == 1:
            seen.append(now)
            if len(seen) < 3:
                return []
        return server(now, frame)

    world = boot(wire)
    assert world.ended == "handover"
    assert seen[2] - seen[0] == pytest.approx(8.0)


def test_lost_ack_makes_it_ask_again():
    server = NetServer(samples.tree(), acks=False)
    world = boot(server, seconds=20)
    times = [when for when, packet in dhcp(world) if packet.dhcp_kind == 3]
    assert times[1] - times[0] == pytest.approx(4.0)
    assert len({packet.xid for _when, packet in dhcp(world)}) == 1


def test_nak_starts_over_and_then_it_boots():
    server = NetServer(samples.tree(), naks=1)
    world = boot(server)
    assert world.ended == "handover"
    assert "DHCP recv NACK (6) expect ACK" in world.text
    kinds = [packet.dhcp_kind for _when, packet in dhcp(world)]
    assert kinds == [1, 3, 1, 3]
    xids = [packet.xid for _when, packet in dhcp(world)]
    assert xids[0] == xids[1] != xids[2] == xids[3]


def test_server_that_always_refuses_is_not_flooded():
    server = NetServer(samples.tree(), naks=10_000)
    world = boot(server, seconds=60, keys={"BOOT_ORDER": "0xe2"})
    assert world.ended == "halt"
    assert len(server.requests) <= 12


def test_answers_to_others_are_not_taken():
    server = NetServer(samples.tree())

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        packet = udp(frame)
        if packet is None or packet.dport != 67:
            return server(now, frame)
        kind = OFFER if packet.dhcp_kind == 1 else ACK
        good = server.reply(packet, kind, server.offer)
        wrong_xid = good[:4] + b"\x13\x37\x13\x37" + good[8:]
        wrong_mac = good[:28] + b"\x02" * 6 + good[34:]
        request = b"\x01" + good[1:]
        return [(0.001, server.frame(frame[6:12], packet.src, 67, 68, bad)) for bad in (wrong_xid, wrong_mac, request)]

    world = boot(wire, seconds=20)
    assert "DHCP src" not in world.text


def test_tftp_ip_overrides_and_needs_an_address_only():
    world = boot(NetServer(samples.tree(), offer=(), siaddr=b"\0" * 4), keys={"TFTP_IP": "10.77.0.1"})
    assert world.ended == "handover"
    assert "wait for link TFTP: 10.77.0.1" in world.text


def test_static_addresses_leave_dhcp_out():
    keys: dict[str, object] = {"CLIENT_IP": "10.77.0.50", "SUBNET": "255.255.255.0", "TFTP_IP": "10.77.0.1"}
    world = boot(NetServer(samples.tree()), keys=keys)
    assert world.ended == "handover"
    assert not dhcp(world)
    assert "NET 10.77.0.50 255.255.255.0 gw 0.0.0.0 tftp 10.77.0.1" in world.text


def test_server_elsewhere_is_reached_through_the_gateway():
    far = bytes((192, 168, 9, 9))
    gateway = NetServer({}, offer=((66, b"192.168.9.9"),), tftp=False)
    server = NetServer(samples.tree(), ip=far, offers=False, mac=gateway.mac)
    world = boot(together(gateway, server))
    assert world.ended == "handover"
    assert "gw 10.77.0.1 tftp 192.168.9.9" in world.text
    asked = {frame[38:42] for frame in world.frames if frame[12:14] == b"\x08\x06"}
    assert asked == {SERVER_IP}


def test_fixed_gateway_is_used_for_a_server_elsewhere():
    keys: dict[str, object] = {"CLIENT_IP": "10.77.0.50", "SUBNET": "255.255.255.0", "TFTP_IP": "192.168.9.9"}
    gateway = NetServer({}, tftp=False)
    server = NetServer(samples.tree(), ip=bytes((192, 168, 9, 9)), offers=False, mac=gateway.mac)
    world = boot(together(gateway, server), keys=keys | {"GATEWAY": "10.77.0.1"})
    assert world.ended == "handover"
    assert not dhcp(world)
    assert "NET 10.77.0.50 255.255.255.0 gw 10.77.0.1 tftp 192.168.9.9" in world.text
    # Without a gateway it asks for the server itself, whom nobody knows here.
    alone = boot(gateway, keys=keys | {"BOOT_ORDER": "0xe2"}, seconds=60)
    assert {frame[38:42] for frame in alone.frames} == {bytes((192, 168, 9, 9))}
    assert "NETBOOT init failed" in alone.text


def test_nobody_answers_arp():
    world = boot(NetServer(samples.tree(), offer=((66, b"10.77.0.77"),)), keys={"BOOT_ORDER": "0xe2"}, seconds=60)
    asked = [when for when, frame in world.sent if frame[12:14] == b"\x08\x06"]
    assert len(asked) == 5
    assert "ARP " not in world.text.split("NET ")[1]
    assert world.ended == "halt"


def test_menu_string_of_the_eeprom_is_wanted():
    server = NetServer(
        samples.tree(), offer=(CLASS, (43, OPTION_43.replace(b"Raspberry Pi Boot", b"Boot my own board")))
    )
    assert boot(server, keys={"PXE_OPTION43": "Boot my own board"}).ended == "handover"


def test_the_log_of_an_offer_has_the_shape_of_a_real_one():
    text = boot(NetServer(samples.tree(), offer=((66, b"10.77.0.1"), CLASS, (43, OPTION_43)))).text
    lines = text[text.index("DHCP src") - 7 :].splitlines()
    assert lines[0].endswith("DHCP src: 02:00:00:00:00:01 10.77.0.1")
    assert lines[1].endswith("YI_ADDR 10.77.0.50")
    assert lines[2].endswith("SI_ADDR 10.77.0.1")
    assert lines[3].endswith("OPTIONS:-")
    assert lines[4].startswith("\top: 53 len:   1 DHCP recv OFFER (2) expect OFFER 5.4")
    assert lines[5].startswith("\top: 54 len:   4 10.77.0.1 ")
    assert lines[8].startswith("\top: 66 len:   9 10.77.0.1[66]: 10.77.0.1")
    assert lines[9] == ""
    assert lines[10:15] == [
        *("\top: 60 len:   9", "\top: 43 len:  32", "\t\tPXE op:  6 len:   1", "\t\tPXE op: 10 len:   4"),
        "\t\tPXE op:  9 len:  20",
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [(b"1.2.3.4", bytes((1, 2, 3, 4))), (b"1.2.3.4\0\0", bytes((1, 2, 3, 4))), (b"1.2.3", None), (b"host", None)],
)
def test_dotted(text: bytes, address: bytes | None):
    assert dotted(text) == address


def test_menu_entries_after_an_x86_one_count():
    menu = b"\x09\x1c" + b"\0\0\x05iPXE!" + b"\0\0\x11Raspberry Pi Boot" + b"\xff"
    assert offers_boot(menu, b"Raspberry Pi Boot")
    assert not offers_boot(b"\x09\x08\0\0\x05iPXE!\xff", b"Raspberry Pi Boot")
    assert not offers_boot(b"\x09\xff\0", b"Raspberry Pi Boot")
