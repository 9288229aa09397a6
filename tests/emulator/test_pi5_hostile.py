# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile servers before a Pi 5: no exception, no endless loop, always a state that a board can be in."""

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.models import PI5
from tests.emulator.fatimage import image
from tests.emulator.netserver import NetServer, Packet, together
from tests.emulator.simulator import boot, in_a_state
from tests.emulator.test_http import KEYS, web
from tests.emulator.test_pi5 import P, tree

LONG = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SMALL = image(dict(tree("")), 12)


def damaging(dice: random.Random, rate: float, server: object):  # type: ignore[no-untyped-def]
    """A wire that loses, damages, delays and repeats what a server says."""

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        answers = []
        for delay, answer in server(now, frame):  # type: ignore[operator]
            fate = dice.random()
            if fate < rate / 3:
                continue
            if fate < rate * 2 / 3:
                hurt = bytearray(answer)
                for _ in range(dice.randrange(1, 6)):
                    hurt[dice.randrange(len(hurt))] = dice.randrange(256)
                answers.append((delay, bytes(hurt[: dice.randrange(len(hurt) + 1)])))
            if fate < rate:
                answers.append((delay * dice.random() * 3, answer))
            answers.append((delay, answer))
        return answers

    return wire


@LONG
@given(st.randoms(use_true_random=False), st.floats(0.0, 0.6))
def test_damaging_wire(dice: random.Random, rate: float):
    world = boot(damaging(dice, rate, NetServer(tree())), model=PI5, seconds=300)
    in_a_state(world)


@LONG
@given(st.randoms(use_true_random=False), st.floats(0.0, 0.3))
def test_damaging_wire_over_http(dice: random.Random, rate: float):
    lease = NetServer(offer=(), tftp=False)
    world = boot(damaging(dice, rate, together(lease, web(SMALL))), model=PI5, keys=KEYS, seconds=300)
    in_a_state(world)


@LONG
@given(st.binary(max_size=300), st.integers(0, 20))
def test_any_answer_to_a_request(answer: bytes, at: int):
    class Hostile(NetServer):
        def _rrq(self, packet: Packet) -> list[bytes]:
            good = super()._rrq(packet)
            opcode = bytes((0, at % 8))
            return [opcode + answer, *good] if at % 2 else [opcode + answer]

    in_a_state(boot(Hostile(tree()), model=PI5, seconds=120))


@LONG
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_names_in_config_txt(lines: list[bytes]):
    keys = (b"kernel=", b"cmdline=", b"device_tree=", b"os_prefix=", b"overlay_prefix=", b"initramfs ", b"armstub=")
    config = b"".join(key + line + b"\n" for key, line in zip((*keys, b"include "), lines, strict=False))
    in_a_state(boot(NetServer(tree(**{"config.txt": config})), model=PI5, seconds=200))


@LONG
@given(st.integers(0, 300), st.binary(min_size=1, max_size=8))
def test_any_damage_to_the_device_tree(at: int, damage: bytes):
    dtb = bytearray(tree()[f"{P}bcm2712-rpi-5-b.dtb"])
    dtb[at : at + len(damage)] = damage
    in_a_state(boot(NetServer(tree(**{"bcm2712-rpi-5-b.dtb": bytes(dtb)})), model=PI5, seconds=60))


@LONG
@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 255)), max_size=30))
def test_any_damage_to_the_image(damage: list[tuple[int, int]]):
    data = bytearray(SMALL)
    for where, value in damage:
        data[where] = value
    lease = NetServer(offer=(), tftp=False)
    in_a_state(boot(together(lease, web(bytes(data))), model=PI5, keys=KEYS, seconds=120))
