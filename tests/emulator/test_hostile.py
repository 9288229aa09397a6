# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile packets: whatever is on the wire, no exception leaves the board's program, and it never runs for ever."""

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.emulator import dhcp, images, packets
from harness.emulator.stack import EEPROM, START4, Stack
from harness.emulator.tftp import Transfer
from harness.emulator.tftp_message import Server
from tests.emulator import samples
from tests.emulator.netserver import BOARD_IP, SERVER_IP, SERVER_MAC, NetServer, udp
from tests.emulator.simulator import MAC, World, boot, in_a_state

LONG = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(st.binary(max_size=400))
def test_any_bytes_can_be_read(data: bytes):
    packets.read_arp(data)
    packets.read_udp(data)
    dhcp.read(data)
    dhcp.pxe_options(data)
    dhcp.offers_boot(data, b"Raspberry Pi Boot")
    dhcp.dotted(data)
    images.elf_fault(data)
    images.kernel_kind(data)
    images.gzip_whole(data)
    images.dtb_compatible(data)


@given(st.integers(0, 250), st.binary(min_size=1, max_size=8))
def test_a_device_tree_with_any_damage_can_be_read(at: int, damage: bytes):
    data = bytearray(samples.dtb())
    data[at : at + len(damage)] = damage
    images.dtb_compatible(bytes(data))
    images.dtb_compatible(bytes(data[:at]))


@given(st.binary(max_size=200), st.sampled_from([EEPROM, START4]), st.booleans())
def test_any_frame_in_the_middle_of_a_transfer(junk: bytes, transport, probe: bool):  # type: ignore[no-untyped-def]
    stack = Stack(MAC, ip=BOARD_IP, mask=b"\xff\xff\xff\0")
    stack.use(transport)
    server = NetServer({"file": bytes(4000)})
    transfer = Transfer(stack, Server(SERVER_MAC, SERVER_IP), 50000, "file", now=0.0, blksize=1468, probe=probe)
    frame: bytes | bytearray | None = transfer.start()
    for _ in range(8):
        answers = server(0.0, bytes(frame)) if frame else []
        frame = None
        for _delay, answer in answers:
            for hostile in (
                junk,
                answer[:42] + junk,
                answer[: len(junk)],
                answer[:26] + junk + answer[26 + len(junk) :],
            ):
                transfer.on_frame(hostile)
            frame = transfer.on_frame(answer) or frame


@LONG
@given(st.randoms(use_true_random=False), st.floats(0.0, 0.6))
def test_a_boot_on_a_damaging_wire_ends_in_a_state_and_not_in_an_exception(dice: random.Random, rate: float):
    server = NetServer(samples.tree())

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        answers = []
        for delay, answer in server(now, frame):
            fate = dice.random()
            if fate < rate / 3:
                continue
            if fate < rate * 2 / 3:
                damaged = bytearray(answer)
                for _ in range(dice.randrange(1, 6)):
                    damaged[dice.randrange(len(damaged))] = dice.randrange(256)
                answers.append((delay, bytes(damaged[: dice.randrange(len(damaged) + 1)])))
            if fate < rate:
                answers.append((delay * dice.random() * 3, answer))
            answers.append((delay, answer))
        return answers

    world = boot(wire, seconds=300)
    in_a_state(world)


@LONG
@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 20))
def test_any_offer_and_any_tftp_answer(options: bytes, answer: bytes, at: int):
    class Hostile(NetServer):
        def reply(self, packet, kind, more, yiaddr=None):  # type: ignore[no-untyped-def]
            good = super().reply(packet, kind, more, yiaddr)
            return good[:240] + (options if at % 3 == 0 else good[240:-1] + options)

        def _rrq(self, packet):  # type: ignore[no-untyped-def]
            good = super()._rrq(packet)
            opcode = bytes((0, at % 8))
            return [opcode + answer, *good] if at % 2 else [opcode + answer]

    world = boot(Hostile(samples.tree()), seconds=120)
    in_a_state(world)


def test_a_flood_does_not_hold_the_board():
    noise = packets.udp_frame(
        (SERVER_MAC, MAC), (SERVER_IP, BOARD_IP), (67, 68), b"\x02" * 300, ttl=64, ident=1, checksum=True
    )
    world = World(lambda _now, _frame: [(0.001 * number, noise) for number in range(1, 400)])
    started = boot(world.wire, seconds=60, keys={"BOOT_ORDER": "0xe2"})
    times = [when for when, frame in started.sent if udp(frame)]
    assert times[1] - times[0] < 4.1
    assert started.ended == "halt"


@LONG
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_names_from_a_hostile_config_do_not_break_the_boot(lines: list[bytes]):
    keys = (b"kernel=", b"cmdline=", b"device_tree=", b"os_prefix=", b"overlay_prefix=", b"initramfs ")
    config = b"".join(key + line + b"\n" for key, line in zip(keys, lines, strict=False))
    world = boot(NetServer(samples.tree(config_txt=config)), seconds=200)
    in_a_state(world)
