# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulated board on an emulated relay: gpiozero's mock pin in a process of the rig, switched by the gpio-relay driver."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.power.gpio_line import Wiring
from harness.power.gpio_relay import GpioRelayPort
from harness.servers import VirtualBoard
from harness.servers.relays import EmulatedRelays
from harness.servers.services.relay import mock_line
from tests.power.emulated_bench import Bench, fed_by

pytestmark = pytest.mark.netns

BOARDS = (
    VirtualBoard("first", "pi3bplus", "8b07bcc6", "b8:27:eb:07:bc:c6", speed=50.0),
    VirtualBoard("second", "pi3bplus", "8b07bcc7", "b8:27:eb:07:bc:c7", speed=50.0),
)


Relays = Bench[EmulatedRelays, GpioRelayPort]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Relays]:
    with fed_by(EmulatedRelays, GpioRelayPort, BOARDS, tmp_path / "run") as made:
        yield made
        made.gear.close()


def test_a_board_is_switched_by_a_pin(bench: Relays) -> None:
    first, board = bench.port("first"), bench.board("first")
    assert (first.state(), board.state()) == ("off", "off")
    first.on()
    assert first.detail == "GPIO17 reads high"
    assert board.state() == "on"
    deadline = time.monotonic() + 30
    while not bench.rig.carrier("first"):  # its Ethernet starts some time after its power
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert bench.board("second").state() == "off"
    assert not bench.rig.carrier("second")
    first.off()
    assert board.state() == "off"
    assert not bench.rig.carrier("first")
    assert "contact open" in bench.gear.relays["first"].log.read_text()


def test_a_second_harness_is_told_who_has_the_pin(bench: Relays) -> None:
    bench.port("first").on()
    relay = bench.gear.relays["first"]
    other = GpioRelayPort(relay.wiring, folder=relay.line, starts=False)
    with pytest.raises(InfraError, match=f"the pin is busy: process {os.getpid()} has it"):
        other.off()
    other.close()
    assert bench.board("first").state() == "on"


def test_a_harness_that_goes_leaves_the_board_off(bench: Relays) -> None:
    port = bench.port("first")
    port.on()
    port.close()
    assert bench.port("first").state() == "off"
    assert bench.board("first").state() == "off"


def test_a_relay_whose_process_died_is_infra(bench: Relays) -> None:
    port = bench.port("first")
    port.on()
    bench.gear.relays["first"].stop()
    port._timing = type(port._timing)(limit=0.3, poll=0.02)
    with pytest.raises(InfraError, match="its process has ended"):
        port.off()


def test_the_contact_follows_the_pin_and_nothing_else() -> None:
    seen: list[bool] = []
    line = mock_line(Wiring(17, factory="mock"), seen.append)
    line.switch("on")
    line.switch("on")
    assert line.state() == "on"
    line.switch("off")
    assert seen == [True, False]
    line.close()
