# SPDX-License-Identifier: GPL-2.0-or-later
"""What the boot ROM of a 3B cannot do, what helps it, and that a 3B+ has none of it (boot-net.adoc, netboot-rpi3b)."""

import pytest

from harness.emulator.packets import Arp, udp_frame
from tests.emulator.netserver import BOARD_IP, OPTION_43, SERVER_IP, SERVER_MAC, NetServer, udp
from tests.emulator.rom import MAC, MENU, SPACED, boot, late, tree
from tests.emulator.simulator import Wire, World


@pytest.mark.parametrize(("strict", "boots"), [(True, False), (False, True)])
def test_offer_that_comes_at_once_is_not_heard(strict: bool, boots: bool):
    server = NetServer(tree("pi3b"), offer=MENU)
    world = boot(server, "pi3b", strict=strict)
    assert (world.ended == "handover") is boots
    if not boots:
        assert len(server.discovers) == 5
        assert not server.log


def noise(now: float, frame: bytes, *delays: float) -> list[tuple[float, bytes]]:
    """Broadcasts of a third machine after each DISCOVER."""
    packet = udp(frame)
    if packet is None or packet.dport != 67:
        return []
    hello = Arp(1, SERVER_MAC, SERVER_IP, b"\0" * 6, bytes((10, 77, 0, 99))).frame(b"\xff" * 6)
    return [(delay, hello) for delay in delays]


@pytest.mark.parametrize(
    ("delays", "boots"),
    [
        ((0.6, 1.2), True),  # what netboot-rpi3b sends
        ((1.2,), False),  # more than a second of silence after the OFFER at 0.001 s: too late
        ((0.98,), True),
        ((0.3, 0.6), False),  # never a packet after a second
    ],
)
def test_later_packets_of_anybody_help(delays: tuple[float, ...], boots: bool):
    server = NetServer(tree("pi3b"), offer=MENU)
    world = boot(lambda now, frame: [*server(now, frame), *noise(now, frame, *delays)], "pi3b")
    assert (world.ended == "handover") is boots


def test_packets_to_others_do_not_help():
    server = NetServer(tree("pi3b"), offer=MENU)
    other = udp_frame((SERVER_MAC, b"\2" * 6), (SERVER_IP, BOARD_IP), (9, 9), b"x", ttl=1, ident=1, checksum=True)

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        return [*server(now, frame), *((0.98, other) for _ in noise(now, frame, 1))]

    assert boot(wire, "pi3b").ended == "halt"


def test_offer_without_spaces_is_for_the_3bplus_only():
    for model, boots in (("pi3b", False), ("pi2b", False), ("pi3bplus", True)):
        server = NetServer(tree(model), offer=((43, OPTION_43),))
        assert (boot(late(server, 1.0), model).ended == "handover") is boots


@pytest.mark.parametrize(("model", "strict", "boots"), [("pi3b", True, 0), ("pi3b", False, 1), ("pi3bplus", True, 1)])
def test_relay(model: str, strict: bool, boots: int):
    server = NetServer(tree(model), offer=MENU, hops=1)
    assert (boot(late(server, 1.0), model, strict=strict).ended == "handover") == bool(boots)


def elsewhere(model: str, strict: bool) -> tuple[World, list[bytes]]:
    """The TFTP server is in another network; the gateway's MAC answers for it. Gives the addresses asked by ARP, too."""
    far = bytes((192, 0, 2, 7))
    server = NetServer(tree(model), offer=((43, SPACED), (66, b"192.0.2.7")))
    files = NetServer(tree(model), ip=far)
    asked = []

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        if frame[12:14] == b"\x08\x06":
            asked.append(frame[38:42])
            return server(now, frame)
        if frame[:6] not in (SERVER_MAC, b"\xff" * 6):
            return []
        packet = udp(frame)
        return files(now, frame) if packet and packet.dst == far else server(now, frame)

    return boot(late(wire, 1.0), model, strict=strict), asked


def test_server_in_another_network():
    world, asked = elsewhere("pi3bplus", True)
    assert world.ended == "handover"
    assert set(asked) == {SERVER_IP}
    world, asked = elsewhere("pi3b", True)
    assert world.ended == "halt"
    assert set(asked) == {bytes((192, 0, 2, 7))}
    # The 3B asks nobody for its file (FW#975).
    lost = [frame for frame in world.frames if frame[:6] == b"\xaa" * 6]
    assert lost
    assert b"bootcode.bin" in lost[0]


def arp_for_the_board(server: Wire, at: bytes) -> tuple[Wire, list[bytes]]:
    """The server refreshes its ARP entry when it is asked for a file whose name has `at` in it."""
    answers: list[bytes] = []
    asked: list[bytes] = []

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\x02":
            answers.append(frame)
        more = []
        if at in frame and not asked:
            asked.append(frame)
            more = [(0.0001, Arp(1, SERVER_MAC, SERVER_IP, MAC, BOARD_IP).frame(MAC))]
        return [*more, *server(now, frame)]

    return wire, answers


@pytest.mark.parametrize(
    ("model", "at", "answered"),
    [
        ("pi3b", b"bootcode.bin", 0),
        ("pi3b", b"\x08\x06\0\1\x08\0\6\4\0\1", 1),  # while it asks for the server's MAC itself
        ("pi3bplus", b"bootcode.bin", 1),
        ("pi3b", b"config.txt", 1),
    ],
)
def test_old_rom_answers_no_arp_during_transfers(model: str, at: bytes, answered: int):
    wire, answers = arp_for_the_board(NetServer(tree(model), offer=MENU), at)
    assert boot(late(wire, 1.0), model).ended == "handover"
    assert len(answers) == answered


def test_siaddr_and_file_name_are_ignored():
    server = NetServer(tree(), offer=((67, b"other.bin"), *MENU), siaddr=bytes((10, 77, 0, 200)))
    assert boot(server).ended == "handover"
    assert server.log[0] == "G bootcode.bin"
