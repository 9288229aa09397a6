# SPDX-License-Identifier: GPL-2.0-or-later
"""Every power port, real driver or double, keeps the invariants that `harness.power.port` writes down."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.power.journal import JournaledPort, PowerJournal
from harness.power.port import PowerPort, cycle
from harness.power.virtual import VirtualPort

from .doubles import ABLE, UNABLE, Clock, DoublePort, Manner, Outlet, emulator
from .driver_doubles import DRIVERS

Make = Callable[[Outlet, Clock], PowerPort]


#: Those on a web server are slower than all others together.
WEB = [pytest.param(name, marks=pytest.mark.gear) for name in ("http", "pdu")]


@pytest.fixture(params=["double", "virtual", "journaled", *sorted(set(DRIVERS) - {"http", "pdu"}), *WEB])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def double(outlet: Outlet, clock: Clock) -> PowerPort:
            return DoublePort(outlet, clock.timing())

        def virtual(outlet: Outlet, clock: Clock) -> PowerPort:
            stack.enter_context(emulator(tmp_path / "control", outlet))
            return VirtualPort(tmp_path / "control", folder=tmp_path, timing=clock.timing(), answer=30.0)

        def journaled(outlet: Outlet, clock: Clock) -> PowerPort:
            return JournaledPort(double(outlet, clock), PowerJournal(tmp_path))

        def driver(outlet: Outlet, clock: Clock) -> PowerPort:
            return DRIVERS[request.param](outlet, clock.timing(), stack, tmp_path)

        yield {"double": double, "virtual": virtual, "journaled": journaled}.get(request.param, driver)


@pytest.mark.parametrize("manner", ABLE)
def test_on_and_off_return_when_the_read_back_says_so(make: Make, manner: Manner) -> None:
    outlet, clock = Outlet(manner), Clock()
    port = make(outlet, clock)
    port.on()
    assert outlet.powered
    port.off()
    assert not outlet.powered
    assert clock.now <= 20.0


@pytest.mark.parametrize("manner", UNABLE)
@pytest.mark.parametrize("powered", [False, True])
def test_a_port_that_does_not_do_it_is_an_infra_error_in_bounded_time(
    make: Make, manner: Manner, powered: bool
) -> None:
    outlet, clock = Outlet(manner, powered), Clock()
    port = make(outlet, clock)
    with pytest.raises(InfraError) as caught:
        (port.off if powered else port.on)()
    assert port.identity in caught.value.what
    assert caught.value.remedy
    assert clock.now <= 10.2
    if manner == "refusing":
        assert "denied, power budget" in caught.value.what
        assert clock.now == 0.0, "asking again is useless"


def test_switching_to_what_is_there_changes_nothing(make: Make) -> None:
    outlet = Outlet(powered=True)
    port = make(outlet, Clock())
    port.on()
    port.on()
    assert outlet.commands == []
    port.off()
    port.off()
    assert outlet.commands == ["off"]


def test_state_is_what_the_port_says_now(make: Make) -> None:
    outlet = Outlet()
    port = make(outlet, Clock())
    assert port.state() == "off"
    outlet.powered = True
    assert port.state() == "on"
    outlet.manner = "unknown"
    assert port.state() == "unknown"
    outlet.manner = "dead"
    with pytest.raises(InfraError):
        port.state()


def test_many_threads_are_served_one_after_the_other(make: Make) -> None:
    outlet = Outlet()
    port = make(outlet, Clock())
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                port.on()
                port.state()
        except BaseException as error:  # the test's thread must tell
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert outlet.commands == ["on"]


def test_cycle_counts_from_the_confirmed_off(make: Make) -> None:
    outlet, clock = Outlet("slow", powered=True), Clock()
    port = make(outlet, clock)
    seen: list[tuple[float, str]] = []
    command = outlet.command

    def spy(want: str) -> None:
        seen.append((clock.now, want))
        command(want)

    outlet.command = spy  # type: ignore[method-assign]
    cycle(port, 5.0, monotonic=clock.monotonic, sleep=clock.sleep)
    (off, _), (on, _) = seen
    confirmed = on - 5.0
    assert confirmed > off, "a slow port confirms later than it was asked"
    assert outlet.powered


def test_cycle_of_a_port_that_comes_back_by_itself(make: Make) -> None:
    outlet, clock = Outlet(powered=True), Clock()
    port = make(outlet, clock)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        outlet.powered = True

    with pytest.raises(InfraError, match="on again before it was told to"):
        cycle(port, 5.0, monotonic=clock.monotonic, sleep=sleep)
