# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden vectors of the boards that start from their boot ROM, octet for octet. A change of any octet must be meant.

Sources. DISCOVER of 2B and 3B: capture in the Raspberry Pi documentation (boot-net) and the filter of openSUSE/
netboot-rpi3b; of 3B+ and bootcode.bin: FW#871, FW#1605, FW#1265. Requests and source ports: the captures of a 3B in
FW#745 and of a 3B+ in FW#1041, FW#1700. Early terminate: dnsmasq log of a 3B+ (norcal-technologies/pi-network-boot), from
which serial number and MAC are.
"""

import pytest

from tests.emulator import rom
from tests.emulator.netserver import NetServer, udp
from tests.emulator.simulator import World

BOARD, SERVER = "b827eb07bcc6", "020000000001"
BOARD_IP, SERVER_IP = "0a4d0032", "0a4d0001"
BOOTP = "0101060026f3033900000000" + "00000000" * 4 + BOARD + "00" * 10 + "00" * 192 + "63825363"
TAIL = "5d0200005e030102016111{}3c20" + b"PXEClient:Arch:00000:UNDI:002001".hex() + "ff"
#: 362 octets: option 55 has 12 parameters, option 97 is 16 times 0x44.
DISCOVER_3B = (
    "ffffffffffff" + BOARD + "0800"
    "4500015c0000000080113992" "00000000" "ffffffff"
    "0044004301480000"
    + BOOTP + "350101" "370c" "2b3c43" "80818283848586" "8742" + TAIL.format("00" + "44" * 16)
)  # fmt: skip
#: 364 octets: 14 parameters, option 97 is the serial number, little endian, four times.
DISCOVER_3BPLUS = (
    "ffffffffffff" + BOARD + "0800"
    "4500015e0000000080113990" "00000000" "ffffffff"
    "00440043014a0000"
    + BOOTP + "350101" "370e" "2b3c43" "80818283848586" "87420103" + TAIL.format("00" + "c6bc078b" * 4)
)  # fmt: skip
ARP_REQUEST = (
    "ffffffffffff" + BOARD + "0806"
    "0001080006040001" + BOARD + BOARD_IP + "000000000000" + SERVER_IP + "00" * 18
)  # fmt: skip
ROM_RRQ_3B = (
    SERVER + BOARD + "0800"
    "45000031000000008011" "25f0" + BOARD_IP + SERVER_IP + "c000" "0045" "001d0000"
    "0001" + b"bootcode.bin".hex() + "006f6374657400"
)  # fmt: skip
#: 3B+: its source ports begin at 49153.
ROM_RRQ = ROM_RRQ_3B.replace("c0000045", "c0010045")
ROM_ACK_1 = (
    SERVER + BOARD + "0800"
    "45000020000000008011" "2601" + BOARD_IP + SERVER_IP + "c001" "9c41" "000c0000" "00040001" + "00" * 14
)  # fmt: skip
ROM_RRQ_SIGNATURE = (
    SERVER + BOARD + "0800"
    "45000030000000008011" "25f1" + BOARD_IP + SERVER_IP + "c002" "0045" "001c0000"
    "0001" + b"bootsig.bin".hex() + "006f6374657400"
)  # fmt: skip
BOOTCODE_RRQ = (
    SERVER + BOARD + "0800"
    "4500003f000000008011" "25e2" + BOARD_IP + SERVER_IP + "c001" "0045" "002b0000"
    "0001" + b"8b07bcc6/start.elf".hex() + "006f63746574007473697a65003000"
)  # fmt: skip
EARLY_TERMINATE = (
    SERVER + BOARD + "0800"
    "45000030000000008011" "25f1" + BOARD_IP + SERVER_IP + "c001" "9c43" "001c0000"
    "00050000" + b"Early terminate".hex() + "00"
)  # fmt: skip
BOOTCODE_ACK_0 = (
    SERVER + BOARD + "0800"
    "45000020000000008011" "2601" + BOARD_IP + SERVER_IP + "c004" "9c46" "000c0000" "00040000" + "00" * 14
)  # fmt: skip
#: fixup.dat as FW#1041 and others show it on the wire.
FIXUP = "0001" + (rom.P + "fixup.dat").encode().hex() + "006f63746574007473697a65003000"


@pytest.fixture(scope="module")
def world() -> World:
    return rom.boot(NetServer(rom.tree()))


def test_lengths_are_those_of_the_captures():
    assert len(DISCOVER_3B) == 2 * 362
    assert len(DISCOVER_3BPLUS) == 2 * 364


@pytest.mark.parametrize(
    ("index", "wanted"),
    [
        (0, DISCOVER_3BPLUS),
        (1, ARP_REQUEST),
        (2, ROM_RRQ),
        (3, ROM_ACK_1),
        (6, ROM_RRQ_SIGNATURE),
        (7, DISCOVER_3BPLUS),
        (8, ARP_REQUEST),
        (9, BOOTCODE_RRQ),
        (10, EARLY_TERMINATE),
        (15, BOOTCODE_ACK_0),
    ],
)
def test_packet(world: World, index: int, wanted: str):
    assert world.frames[index].hex() == wanted


@pytest.mark.parametrize("model", ["pi2b", "pi3b"])
def test_rom_of_2b_and_3b(model: str):
    server = NetServer(rom.tree(model), offer=((43, rom.SPACED),))
    frames = rom.boot(rom.late(server, 1.0), model).frames
    assert [frames[number].hex() for number in (0, 1, 2)] == [DISCOVER_3B, ARP_REQUEST, ROM_RRQ_3B]
    packets = [packet for packet in map(udp, frames) if packet and packet.payload.endswith(b"octet\0")]
    assert [packet.sport for packet in packets] == [49152, 49152]
    assert packets[1].payload == b"\0\1bootsig.bin\0octet\0"


def test_second_stage_of_a_3b_shows_its_serial_number():
    server = NetServer(rom.tree("pi3b"), offer=((43, rom.SPACED),))
    world = rom.boot(rom.late(server, 1.0), "pi3b")
    discovers = [frame.hex() for frame in world.frames if (packet := udp(frame)) and packet.dport == 67]
    assert discovers == [DISCOVER_3B, DISCOVER_3BPLUS]


def test_every_packet_has_ttl_128_no_identification_and_no_udp_checksum(world: World):
    packets = [packet for packet in map(udp, world.frames) if packet]
    assert len(packets) > 100
    assert {(packet.ttl, packet.ident, packet.checksum) for packet in packets} == {(128, 0, 0)}


def test_source_ports_rise_by_one_per_request_and_start_elf_begins_again(world: World):
    """As FW#1041 and an atftpd log of a 3B have them."""
    requests = [packet for packet in map(udp, world.frames) if packet and packet.dport == 69]
    plain = [packet.sport for packet in requests if packet.payload.endswith(b"octet\0")]
    sized = [packet.sport for packet in requests if packet.payload.endswith(b"octet\0tsize\x000\0")]
    assert plain == [49153, 49154]
    assert len(plain) + len(sized) == len(requests)
    stage = 7  # requests of bootcode.bin
    assert sized[:stage] == list(range(49153, 49153 + stage))
    assert sized[stage:] == list(range(49153, 49153 + len(sized) - stage))
    assert requests[2 + stage - 1].payload.hex() == FIXUP
    assert requests[2 + stage].payload.startswith(b"\0\x018b07bcc6/recovery.elf\0")


def test_other_models_and_boards_have_their_own_octets():
    world = rom.boot(NetServer({}), "pi3bplus", seconds=12)
    again = rom.boot(NetServer({}), "pi3bplus", seconds=12)
    assert world.frames[0] == again.frames[0]  # the xid is constant
