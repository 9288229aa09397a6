# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden vectors of the other EEPROM boards (Pi 400, CM4, Pi 5, CM5), octet for octet.

Sources as in test_golden.py: the DISCOVER's and REQUEST's form from the capture of a Pi 400 (petemoore/sam-aarch64), which
a Pi 5 shares (frame of 364 octets, same option list: wol.ski blog; same class: cmprovision#61); "5iPR" from rpi-eeprom
release notes 2023-10-30; RRQ tail of `tsize 0 blksize 1468` from EE#857. A Pi 5's IP identification is inferred.
"""

from functools import cache

import pytest

from harness.models import CM4, CM5, MODELS, PI5, PI400, Model
from tests.emulator import samples
from tests.emulator.netserver import NetServer, udp
from tests.emulator.simulator import World, boot
from tests.emulator.test_pi5 import tree

BOARD, SERVER = "e45f010902f7", "020000000001"
BOARD_IP, SERVER_IP = "0a4d0032", "0a4d0001"
CHADDR = BOARD + "00" * 10
COOKIE = "63825363"
VENDOR_CLASS = b"PXEClient:Arch:00000:UNDI:002001".hex()
MAC_AND_SERIAL = "010902f7" + "3df0cd91"
#: By model: option 97's body after its type octet, the UDP checksums of DISCOVER, REQUEST and first RRQ.
BOARDS = {
    "pi400": ("34695052" + "3031c000", "3170", "36f3"),
    "cm4": ("34695052" + "4031d000", "3150", "16f3"),
    "pi5": ("35695052" + "7041d000", "211f", "e5e2"),
    "cm5": ("35695052" + "8041d000", "210f", "d5e2"),
}
TAIL = "006f63746574007473697a65003000626c6b73697a65003134363800"  # octet tsize 0 blksize 1468
EARLY_TERMINATE = "00050000" + b"Early terminate".hex() + "00"


@cache
def world(name: str) -> World:
    model: Model = MODELS[name]
    dtb = {model.dtb: samples.dtb(model.compatible, f"brcm,{model.soc.lower()}")}
    files = tree(**dtb) if model in (PI5, CM5) else samples.tree() | {f"91cdf03d/{key}": dtb[key] for key in dtb}
    seen = boot(NetServer(files), model=model, revision=int(model.revision, 16))
    assert seen.ended == "handover", seen.text
    return seen


@pytest.mark.parametrize("name", BOARDS)
def test_discover(name: str):
    guid, checksum, _request = BOARDS[name]
    wanted = (
        "ffffffffffff" + BOARD + "0800"
        "4500015e506a000040112926" + "00000000" + "ffffffff"
        "00440043014a" + checksum +
        "01010600" "2265b1f5" "0000" "0000" + "00000000" * 4 + CHADDR + "00" * 192 + COOKIE
        + "350101"
        + "370e" + "0103" + "2b3c" + "4243" + "8081828384858687"
        + "3c20" + VENDOR_CLASS
        + "5d020000" + "5e03010201" + "6111" + "00" + guid + MAC_AND_SERIAL + "ff"
    )  # fmt: skip
    frame = world(name).frames[0]
    assert frame.hex() == wanted
    assert len(frame) == 364


@pytest.mark.parametrize("name", BOARDS)
def test_request(name: str):
    guid, _discover, checksum = BOARDS[name]
    wanted = (
        "ffffffffffff" + BOARD + "0800"
        "45000151506c000040112931" + "00000000" + "ffffffff"
        "00440043013d" + checksum +
        "01010600" "2265b1f5" "0000" "0000" + "00000000" * 2 + SERVER_IP + "00000000" + CHADDR + "00" * 192 + COOKIE
        + "350103" + "3204" + BOARD_IP + "3604" + SERVER_IP + "3c20" + VENDOR_CLASS
        + "6111" + "00" + guid + MAC_AND_SERIAL + "ff"
    )  # fmt: skip
    frame = world(name).frames[1]
    assert frame.hex() == wanted
    assert len(frame) == 351


@pytest.mark.parametrize("name", BOARDS)
def test_arp_request(name: str):
    wanted = "ffffffffffff" + BOARD + "08060001080006040001" + BOARD + BOARD_IP + "00" * 6 + SERVER_IP + "00" * 18
    assert world(name).frames[2].hex() == wanted


@pytest.mark.parametrize("name", ["pi5", "cm5"])
def test_first_request_and_acknowledgements_of_a_pi_5(name: str):
    frames = world(name).frames
    head = SERVER + BOARD + "0800"
    addresses = BOARD_IP + SERVER_IP
    rrq = head + "4500004d506e000040111566" + addresses + "95b700450039fb26"
    assert frames[3].hex() == rrq + "0001" + b"91cdf03d/config.txt".hex() + TAIL
    ack = head + "450000205070000040111591" + addresses + "95b79c41000cb90c" + "00040000" + "00" * 14
    assert frames[4].hex() == ack
    ack = head + "45000020507200004011158f" + addresses + "95b79c41000cb90b" + "00040001" + "00" * 14
    assert frames[5].hex() == ack


@pytest.mark.parametrize("name", ["pi5", "cm5"])
def test_probe_of_the_kernel_ends_with_early_terminate(name: str):
    ends = [frame.hex() for frame in world(name).frames if (p := udp(frame)) and p.payload[:2] == b"\0\5"]
    head = SERVER + BOARD + "0800" + "45000030508a000040111567" + BOARD_IP + SERVER_IP + "95bc9c46001c713d"
    assert ends == [head + EARLY_TERMINATE]


@pytest.mark.parametrize("name", ["pi400", "cm4"])
def test_first_requests_of_both_stages_of_a_bcm2711(name: str):
    frames = world(name).frames
    head = SERVER + BOARD + "0800"
    addresses = BOARD_IP + SERVER_IP
    eeprom = head + "4500004d506e000040111566" + addresses + "95b7004500393a25"
    assert frames[3].hex() == eeprom + "0001" + b"91cdf03d/start4.elf".hex() + TAIL
    start4 = head + "4500004f00000000801125d2" + addresses + "c0010045003b0000"
    assert frames[19].hex() == start4 + "0001" + b"91cdf03d/recovery.elf".hex() + TAIL


@pytest.mark.parametrize("name", ["pi5", "cm5"])
def test_a_pi_5_has_one_transport_to_the_end(name: str):
    packets = [packet for packet in map(udp, world(name).frames) if packet]
    assert {packet.ttl for packet in packets} == {64}
    assert [packet.ident for packet in packets] == [0x506A + 2 * number for number in range(len(packets))]
    ports = [packet.sport for packet in packets if packet.dport == 69]
    assert ports == list(range(ports[0], ports[0] + len(ports)))
    assert all(packet.checksum for packet in packets)


def test_device_tree_of_each_bcm2711_board():
    for model in (PI400, CM4):
        payload = world(model.name).payload
        assert payload is not None
        assert payload.dtb.path == f"91cdf03d/{model.dtb}"
        assert payload.dtb_ok
