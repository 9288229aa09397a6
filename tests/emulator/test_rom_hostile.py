# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile servers of the boot ROM: no exception leaves the board's program, and it always ends where a real board could."""

import random
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.emulator import bootrom, otp
from harness.emulator.packets import udp_frame
from harness.errors import ConfigError
from tests.emulator import rom
from tests.emulator.netserver import BOARD_IP, SERVER_IP, SERVER_MAC, NetServer, udp
from tests.emulator.simulator import World, in_a_state

LONG = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def bounded(world: World) -> None:
    """A board may boot, stand still, or still wait when the time is over; it may not be anywhere else."""
    in_a_state(world, uart=False)
    assert len(world.sent) < 20_000


@LONG
@given(st.sampled_from(["pi2b", "pi3b", "pi3bplus"]), st.integers(0, 2**32), st.floats(0, 1))
def test_damaged_packets(model: str, seed: int, share: float):
    """Every answer of the server may be cut, changed, doubled or lost."""
    dice = random.Random(seed)  # noqa: S311
    server = NetServer(rom.tree(model), offer=((43, rom.SPACED),))

    def damage(frame: bytes) -> list[bytes]:
        kind = dice.randrange(4)
        if kind == 0:
            return []
        if kind == 1:
            return [frame, frame]
        if kind == 2:
            return [frame[: dice.randrange(len(frame) + 1)]]
        data = bytearray(frame)
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        return [bytes(data)]

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        found = []
        for delay, answer in server(now, frame):
            late = delay + (1.0 if (packet := udp(frame)) and packet.dport == 67 else 0.0)
            pieces = damage(answer) if dice.random() < share else [answer]
            found += [(late, piece) for piece in pieces]
        return found

    bounded(rom.boot(wire, model, seconds=120))


@LONG
@given(st.lists(st.binary(max_size=80), min_size=1, max_size=8), st.sampled_from(["pi3b", "pi3bplus"]))
def test_any_options_and_any_tftp_payload(junk: list[bytes], model: str):
    server = NetServer(rom.tree(model), offer=tuple((43 + n % 24, data) for n, data in enumerate(junk)))
    wild = NetServer(rom.tree(model), offer=((43, rom.SPACED),))

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        packet = udp(frame)
        if packet is None or packet.dport == 67:
            return [*server(now, frame), *wild(now, frame)]
        return [
            (0.001 * n, wild.frame(frame[6:12], BOARD_IP, 40001, packet.sport, data)) for n, data in enumerate(junk)
        ]

    bounded(rom.boot(rom.late(wire, 1.0), model, seconds=120))


@LONG
@given(st.binary(max_size=300))
def test_any_config_txt(config: bytes):
    bounded(rom.boot(NetServer(rom.tree(config_txt=config))))


@pytest.mark.parametrize("model", ["pi3b", "pi3bplus"])
def test_a_flood_does_not_hold_the_rom(model: str):
    """Broadcasts without end: the tries are still five seconds apart, and still five."""
    flood = (SERVER_MAC, b"\xff" * 6), (SERVER_IP, b"\xff" * 4)

    def program() -> World:
        world = World(lambda _now, _frame: [])
        for number in range(4000):
            frame = udp_frame(*flood, (137, 137), b"x", ttl=1, ident=1, checksum=True)
            world.put(1000 + number * 0.01, frame)
        return world.run(bootrom.program(rom.machine(world, model)), seconds=100)

    world = program()
    assert len(world.sent) == 5
    assert world.ended == "halt"
    assert world.now - 1000 == pytest.approx(35, abs=0.1)


def test_too_large_a_bootcode_bin_is_the_end():
    """bootcode.bin runs from the 128 KiB of the second-level cache; a file beyond that overwrites what runs."""
    world = rom.boot(NetServer(rom.tree() | {"bootcode.bin": b"\0" * 512 * 257}))
    bounded(world)
    assert "128 KiB" in world.halted


@settings(max_examples=30)
@given(
    st.dictionaries(st.sampled_from(["net_boot", "strict", "sd_card", "usb_boot_timeout", "x"]), st.text(max_size=9))
)
def test_any_fuses(keys: dict[str, str]):
    with suppress(ConfigError):
        otp.read(keys)
