# SPDX-License-Identifier: GPL-2.0-or-later
"""Which OFFERs the boot ROMs and bootcode.bin take, and whom they then ask for files."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.emulator import bootrom_dhcp, dhcp
from harness.emulator.bootrom_dhcp import BOOTCODE, LENIENT_ROM, NEW_ROM, OLD_ROM, XID, Client, Offers
from harness.emulator.dhcp import Identity
from harness.emulator.packets import NO_IP, Datagram
from tests.emulator.netserver import BOARD_IP, OPTION_43, SERVER_IP, options
from tests.emulator.rom import MAC, SERIAL, SPACED

PROXY_IP = bytes((10, 77, 0, 9))
OTHER = bytes((192, 0, 2, 7))
WHO = Identity(MAC, SERIAL, 0xA02082, None)
ALL = (OLD_ROM, LENIENT_ROM, NEW_ROM, BOOTCODE)


def message(
    *more: tuple[int, bytes],
    yiaddr: bytes = BOARD_IP,
    siaddr: bytes = NO_IP,
    hops: int = 0,
    giaddr: bytes = NO_IP,
    kind: int = 2,
    xid: int = XID,
) -> bytes:
    head = struct.pack(">BBBBIHH", 2, 1, 6, hops, xid, 0, 0) + NO_IP + yiaddr + siaddr + giaddr
    return head + MAC.ljust(16, b"\0") + b"\0" * 192 + dhcp.COOKIE + options((53, bytes((kind,))), *more)


def server(client: Client, *payloads: bytes, source: bytes = SERVER_IP) -> bytes | None:
    """Where the files are after these replies; None when they are not enough."""
    offers = Offers(client)
    for payload in payloads:
        reply = dhcp.read(payload)
        assert reply is not None
        offers.take(reply, source)
    return offers.server if offers.enough else None


@pytest.mark.parametrize(("spaces", "taken"), [(0, (NEW_ROM, BOOTCODE)), (2, (NEW_ROM, BOOTCODE)), (3, ALL)])
def test_option_43_needs_three_spaces_on_the_old_rom(spaces: int, taken: tuple[Client, ...]):
    text = b"Raspberry Pi Boot" + b" " * spaces
    menu = b"\x06\x01\x03\x0a\x04\0PXE\x09" + bytes((3 + len(text), 0, 0, len(text))) + text + b"\xff"
    for value in (menu, text):  # as a PXE menu, and as raw text (FW#937)
        found = [server(client, message((43, value))) for client in ALL]
        assert found == [SERVER_IP if client in taken else None for client in ALL]


@pytest.mark.parametrize("client", ALL)
def test_a_menu_for_others_siaddr_and_file_name_are_nothing(client: Client):
    assert server(client, message(siaddr=SERVER_IP)) is None
    assert server(client, message((67, b"bootcode.bin"), (60, b"PXEClient"), siaddr=SERVER_IP)) is None
    assert server(client, message((43, SPACED.replace(b"Raspberry", b"Blueberry")))) is None


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (b"192.0.2.7", ALL),
        (b"192.0.2.7\0", (NEW_ROM, LENIENT_ROM, BOOTCODE)),
        (b"pxe.example.org", ()),
        (b"192.0.2.777", ()),
        (b"", ()),
    ],
)
def test_option_66_is_dotted_decimal_only(value: bytes, taken: tuple[Client, ...]):
    assert [server(client, message((66, value))) for client in ALL] == [
        OTHER if client in taken else None for client in ALL
    ]


def test_the_last_of_43_and_66_wins_on_the_old_rom():
    menu, name = (43, SPACED), (66, b"192.0.2.7")
    assert server(OLD_ROM, message(menu, name)) == OTHER
    assert server(OLD_ROM, message(name, menu)) == SERVER_IP
    assert server(NEW_ROM, message(menu, name)) == server(NEW_ROM, message(name, menu)) == OTHER


@pytest.mark.parametrize("client", ALL)
def test_address_and_server_may_come_from_two_offers_in_both_orders(client: Client):
    lease, proxy = message(), message((43, SPACED), yiaddr=NO_IP)
    for pair in ((lease, proxy), (proxy, lease)):
        offers = Offers(client)
        for payload in pair:
            reply = dhcp.read(payload)
            assert reply is not None
            offers.take(reply, PROXY_IP if payload is proxy else SERVER_IP)
        assert (offers.ip, offers.server) == (BOARD_IP, PROXY_IP)


def test_relayed_offers_are_none_for_the_old_rom():
    for relayed in (message((43, SPACED), hops=1), message((43, SPACED), giaddr=OTHER)):
        assert server(OLD_ROM, relayed) is None
        assert [server(client, relayed) for client in ALL[1:]] == [SERVER_IP] * 3


@pytest.mark.parametrize("kind", [0, 1, 5, 6])
def test_only_offers_count(kind: int):
    assert server(NEW_ROM, message((43, SPACED), kind=kind)) is None


def test_replies_to_others_are_not_for_this_board():
    def told(payload: bytes, port: int = 68) -> bool:
        datagram = Datagram(MAC, SERVER_IP, BOARD_IP, 67, port, payload)
        return bootrom_dhcp.reply_to(WHO, datagram) is not None

    assert told(message())
    assert not told(message(xid=XID + 1))
    assert not told(message().replace(MAC, MAC[:5] + b"\0"))  # another Pi: the xid is the same for all
    assert not told(message(), port=4011)
    assert not told(b"\1" + message()[1:])


def test_plain_option_43_of_dnsmasq_is_for_the_newer_ones():
    assert server(NEW_ROM, message((43, OPTION_43))) == SERVER_IP
    assert server(OLD_ROM, message((43, OPTION_43))) is None


@given(st.binary(max_size=330), st.sampled_from(ALL))
def test_any_reply_can_be_read(data: bytes, client: Client):
    for payload in (data, message()[:240] + data, message((43, data[:255]), (66, data[:255]))):
        reply = bootrom_dhcp.reply_to(WHO, Datagram(MAC, SERVER_IP, BOARD_IP, 67, 68, payload))
        if reply is not None:
            offers = Offers(client)
            offers.take(reply, SERVER_IP)
            assert len(offers.server) == len(offers.ip) == 4
