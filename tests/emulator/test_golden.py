# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden vectors: every kind of packet of a Pi 4's boot, octet for octet. A change of any octet must be meant.

Sources. DISCOVER, REQUEST, requests, their options, order, lengths, TTL and IP identification: capture of a Pi 400
(petemoore/sam-aarch64). Option 97: dnsmasq log of a Pi 4B (raballew/pipxe). RRQ of 40 octets: EE#857. Early terminate:
L1 to L3. start4.elf's TTL, IP id 0 and ports from 49153: dnsmasq and tcpdump logs, FW#1041.
"""

import struct

import pytest

from tests.emulator import samples
from tests.emulator.netserver import NetServer, udp
from tests.emulator.simulator import World, boot

BOARD, SERVER = "e45f010902f7", "020000000001"
BOARD_IP, SERVER_IP = "0a4d0032", "0a4d0001"
COOKIE = "63825363"
VENDOR_CLASS = b"PXEClient:Arch:00000:UNDI:002001".hex()
GUID = "00" + "34695052" + "1431d000" + "010902f7" + "3df0cd91"
CHADDR = BOARD + "00" * 10

DISCOVER = (
    "ffffffffffff" + BOARD + "0800"
    "4500015e506a000040112926" + "00000000" + "ffffffff"
    "00440043014a317c"
    "01010600" "2265b1f5" "0000" "0000" + "00000000" * 4 + CHADDR + "00" * 192 + COOKIE
    + "350101"
    + "370e" + "0103" + "2b3c" + "4243" + "8081828384858687"
    + "3c20" + VENDOR_CLASS
    + "5d020000" + "5e03010201" + "6111" + GUID + "ff"
)  # fmt: skip
REQUEST = (
    "ffffffffffff" + BOARD + "0800"
    "45000151506c000040112931" + "00000000" + "ffffffff"
    "00440043013d42f3"
    "01010600" "2265b1f5" "0000" "0000" + "00000000" * 2 + SERVER_IP + "00000000" + CHADDR + "00" * 192 + COOKIE
    + "350103" + "3204" + BOARD_IP + "3604" + SERVER_IP + "3c20" + VENDOR_CLASS + "6111" + GUID + "ff"
)  # fmt: skip
ARP_REQUEST = (
    "ffffffffffff" + BOARD + "0806"
    "0001080006040001" + BOARD + BOARD_IP + "000000000000" + SERVER_IP + "00" * 18
)  # fmt: skip
TAIL = "006f63746574007473697a65003000626c6b73697a65003134363800"  # octet tsize 0 blksize 1468
EARLY_TERMINATE = "00050000" + b"Early terminate".hex() + "00"
EEPROM_RRQ = (
    SERVER + BOARD + "0800"
    "4500004d506e000040111566" + BOARD_IP + SERVER_IP + "95b7004500393a25"
    "0001" + b"91cdf03d/start4.elf".hex() + TAIL
)  # fmt: skip
EEPROM_EARLY_TERMINATE = (
    SERVER + BOARD + "0800" "450000305070000040111581" + BOARD_IP + SERVER_IP + "95b79c41001c7147" + EARLY_TERMINATE
)  # fmt: skip
EEPROM_ACK_0 = (
    SERVER + BOARD + "0800" "45000020507400004011158d" + BOARD_IP + SERVER_IP + "95b89c42000cb90a" "00040000" + "00" * 14
)  # fmt: skip
EEPROM_ACK_1 = (
    SERVER + BOARD + "0800" "45000020507600004011158b" + BOARD_IP + SERVER_IP + "95b89c42000cb909" "00040001" + "00" * 14
)  # fmt: skip
START4_RRQ = (
    SERVER + BOARD + "0800"
    "4500004f00000000801125d2" + BOARD_IP + SERVER_IP + "c0010045003b0000"
    "0001" + b"91cdf03d/recovery.elf".hex() + TAIL
)  # fmt: skip
START4_EARLY_TERMINATE = (
    SERVER + BOARD + "0800" "4500003000000000801125f1" + BOARD_IP + SERVER_IP + "c0029c49001c0000" + EARLY_TERMINATE
)  # fmt: skip
START4_ACK_1 = (
    SERVER + BOARD + "0800" "450000200000000080112601" + BOARD_IP + SERVER_IP + "c0039c4a000c0000" "00040001" + "00" * 14
)  # fmt: skip


@pytest.fixture(scope="module")
def world() -> World:
    return boot(NetServer(samples.tree()))


@pytest.mark.parametrize(
    ("index", "wanted", "length"),
    [
        (0, DISCOVER, 364),
        (1, REQUEST, 351),
        (2, ARP_REQUEST, 60),
        (3, EEPROM_RRQ, 91),
        (4, EEPROM_EARLY_TERMINATE, 62),
        (6, EEPROM_ACK_0, 60),
        (7, EEPROM_ACK_1, 60),
        (19, START4_RRQ, 93),
        (21, START4_EARLY_TERMINATE, 62),
        (24, START4_ACK_1, 60),
    ],
)
def test_packet(world: World, index: int, wanted: str, length: int):
    assert world.frames[index].hex() == wanted
    assert len(world.frames[index]) == length


def test_rrq_of_config_txt_is_the_forty_octets_of_a_capture():
    world = boot(NetServer(samples.tree("")))
    payloads = [packet.payload.hex() for packet in map(udp, world.frames) if packet and packet.dport == 69]
    assert "0001636f6e6669672e747874006f63746574007473697a65003000626c6b73697a65003134363800" in payloads


def test_checksums_are_right_by_the_textbook(world: World):
    def total(data: bytes) -> int:
        data += b"\0" * (len(data) % 2)
        value = sum(struct.unpack(f">{len(data) // 2}H", data))
        while value >> 16:
            value = (value & 0xFFFF) + (value >> 16)
        return value

    packets = [frame for frame in world.frames if frame[12:14] == b"\x08\x00"]
    assert len(packets) > 60
    for frame in packets:
        assert total(frame[14:34]) == 0xFFFF
        length = int.from_bytes(frame[38:40], "big")
        if frame[22] == 64:
            assert total(frame[26:34] + struct.pack(">HH", 17, length) + frame[34 : 34 + length]) == 0xFFFF
        else:
            assert frame[40:42] == b"\0\0"


def test_ip_id_rises_by_two_with_every_packet_of_the_bootloader(world: World):
    packets = [packet for packet in map(udp, world.frames) if packet]
    eeprom = [packet.ident for packet in packets if packet.ttl == 64]
    assert eeprom == [0x506A + 2 * number for number in range(len(eeprom))]
    assert {packet.ident for packet in packets if packet.ttl == 128} == {0}


def test_source_ports_rise_by_one_per_request(world: World):
    requests = [packet for packet in map(udp, world.frames) if packet and packet.dport == 69]
    eeprom = [packet.sport for packet in requests if packet.ttl == 64]
    start4 = [packet.sport for packet in requests if packet.ttl == 128]
    assert eeprom == list(range(eeprom[0], eeprom[0] + 7))
    assert start4 == list(range(49153, 49153 + len(start4)))


def test_xid_is_random_and_the_same_in_one_exchange(world: World):
    def xids(seen: World) -> list[bytes]:
        return [packet.xid for packet in map(udp, seen.frames) if packet and packet.dport == 67]

    server = NetServer({})
    again = boot(server, seconds=12)
    assert len(set(xids(world))) == 1
    assert len(set(xids(again))) >= 2


@pytest.mark.parametrize(
    ("date", "guid"),
    [
        ("2020-01-16", "00" + "3df0cd91" * 4),
        ("2021-07-06", "00" + "52506934" + "1431d000" + "010902f7" + "3df0cd91"),
        ("2022-03-10", GUID),
        ("", GUID),
    ],
)
def test_option_97_by_bootloader_date(date: str, guid: str):
    server = NetServer(samples.tree())
    boot(server, date=date, seconds=20)
    assert dict(server.discovers[0].dhcp_options)[97].hex() == guid


def test_option_97_by_eeprom():
    def guid(value: str) -> str:
        server = NetServer(samples.tree())
        boot(server, keys={"DHCP_OPTION97": value}, seconds=20)
        return dict(server.discovers[0].dhcp_options)[97].hex()

    assert guid("0") == "00" + "3df0cd91" * 4
    assert guid("0x12345678") == "0012345678" + GUID[10:]


@pytest.mark.parametrize(("date", "size"), [("2022-09-02", b"1024"), ("2022-10-03", b"1468"), ("", b"1468")])
def test_block_size_by_bootloader_date(date: str, size: bytes):
    world = boot(NetServer(samples.tree()), date=date)
    requests = [packet for packet in map(udp, world.frames) if packet and packet.dport == 69]
    assert requests[0].payload.endswith(b"tsize\x000\0blksize\0" + size + b"\0")
    assert requests[-1].payload.endswith(b"blksize\x001468\0")


def test_mac_address_of_the_eeprom_is_used():
    world = boot(NetServer(samples.tree()), keys={"MAC_ADDRESS": "dc:a6:32:00:00:07"})
    assert {frame[6:12].hex() for frame in world.frames} == {"dca632000007"}
