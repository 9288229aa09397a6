# SPDX-License-Identifier: GPL-2.0-or-later
"""GPIO relays and their holder, end to end, through gpiozero's pigpio factory against a stand-in over TCP."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InfraError
from harness.power import gpio_relay
from harness.power.gpio_line import Wiring
from harness.power.gpio_relay import GpioRelayPort, runtime_folder
from harness.power.port import Timing

from .pigpiod import Pigpiod

pytestmark = pytest.mark.gear
ROOT = Path(__file__).parents[2]
Make = Callable[..., GpioRelayPort]


@pytest.fixture
def daemon() -> Iterator[Pigpiod]:
    pytest.importorskip("pigpio", reason="needs pigpio: pip install pigpio")
    daemon = Pigpiod()
    try:
        yield daemon
    finally:
        daemon.close()


def wired(daemon: Pigpiod, **changes: Any) -> Wiring:
    return Wiring(17, factory="pigpio", host="127.0.0.1", port=daemon.port, **changes)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Ports whose holders end with the test."""
    holders: set[int] = set()
    ports: list[GpioRelayPort] = []

    def made(wiring: Wiring, **options: Any) -> GpioRelayPort:
        port = GpioRelayPort(wiring, folder=tmp_path, **{"timing": Timing(limit=5, poll=0.02), **options})
        ports.append(port)
        attached = port._attached

        def noted() -> Any:
            connection = attached()
            holders.add(port.holder)
            return connection

        port._attached = noted  # type: ignore[method-assign]
        return port

    yield made
    for port in ports:
        port.close()
    for holder in holders - {0}:
        end(holder)


def end(holder: int) -> None:
    try:
        os.kill(holder, signal.SIGTERM)
    except ProcessLookupError:
        return
    until(lambda: not Path(f"/proc/{holder}/exe").exists())


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_on_and_off_over_tcp_and_the_line_outlives_the_port(daemon: Pigpiod, make: Make) -> None:
    port = make(wired(daemon, active_low=True))
    port.on()
    assert port.detail == "GPIO17 reads low"
    port.off()
    assert daemon.writes(17) == [1], "an untouched pin is low, which is on for this relay"
    assert port.detail == "GPIO17 reads high"
    port.close()
    again = make(wired(daemon, active_low=True))
    assert again.state() == "off"
    assert again.holder == port.holder
    assert daemon.driven(17) == 1, "it is an output all the time"
    assert [value for what, _, value in daemon.log if what == "mode"] == [0, 1], "taken once"


def test_wiring_may_be_corrected_while_a_holder_has_the_pin(daemon: Pigpiod, make: Make) -> None:
    port = make(wired(daemon))
    port.on()
    port.close()
    corrected = make(wired(daemon, contact="nc"))
    assert corrected.state() == "off"


@pytest.mark.parametrize(("on_exit", "level"), [("keep", 0), ("off", 0), ("on", 1)])
def test_killed_between_off_and_on(daemon: Pigpiod, make: Make, tmp_path: Path, on_exit: str, level: int) -> None:
    """The harness dies by SIGKILL after it switched off: the line goes where on_exit says, and stays an output."""
    code = f"""
import sys, time
from pathlib import Path
from harness.power.gpio_line import Wiring
from harness.power.gpio_relay import GpioRelayPort
wiring = Wiring(17, factory="pigpio", host="127.0.0.1", port={daemon.port})
port = GpioRelayPort(wiring, on_exit={on_exit!r}, folder=Path({str(tmp_path)!r}))
port.on()
port.off()
print(port.holder, flush=True)
time.sleep(60)
"""
    killed = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert killed.stdout is not None
    with killed.stdout as output:
        holder = int(output.readline())
    try:
        assert daemon.driven(17) == 0
        killed.kill()
        assert killed.wait(10) == -signal.SIGKILL
        after = make(wired(daemon), on_exit="keep")
        until(lambda: daemon.driven(17) == level)
        assert after.state() == ("on" if level else "off")
        assert after.holder == holder, "the holder lives on"
    finally:
        killed.kill()
        end(holder)


def test_killed_while_on_with_on_exit_off(daemon: Pigpiod, make: Make) -> None:
    port = make(wired(daemon), on_exit="off")
    port.on()
    assert daemon.driven(17) == 1
    port._drop()  # what the kernel does for a killed process
    until(lambda: daemon.driven(17) == 0)


def test_two_harnesses_on_one_pin(daemon: Pigpiod, make: Make) -> None:
    first, second = make(wired(daemon)), make(wired(daemon))
    first.on()
    with pytest.raises(InfraError, match=f"the pin is busy: process {os.getpid()} has it"):
        second.off()
    assert daemon.driven(17) == 1
    first.close()
    second.off()


def test_a_stuck_pin_is_told(daemon: Pigpiod, make: Make) -> None:
    daemon.stuck = 0
    with pytest.raises(
        InfraError, match=r"told to switch on and did not within 0\.3 s; last: it said 'off' \(GPIO17 reads low\)"
    ):
        make(wired(daemon), timing=Timing(limit=0.3, poll=0.05)).on()


def test_no_pigpiod(daemon: Pigpiod, make: Make) -> None:
    daemon.close()
    with pytest.raises(InfraError, match=r"failed to connect to 127\.0\.0\.1"):
        make(wired(daemon)).on()


def test_a_pigpiod_that_restarts(daemon: Pigpiod, make: Make) -> None:
    port = make(wired(daemon))
    port.on()
    daemon.close()
    again = Pigpiod(daemon.port)
    try:
        port.off()
        port.on()
        assert again.driven(17) == 1
    finally:
        again.close()


def test_no_gpio_on_this_host(make: Make) -> None:
    """lgpio absent, or without a chip: both are the lab's gear, and told at once."""
    with pytest.raises(InfraError, match="lgpio"):
        make(Wiring(17, factory="lgpio", chip=63)).on()


def test_a_mock_relay_has_a_holder_too(make: Make) -> None:
    port = make(Wiring(5, factory="mock"))
    port.on()
    assert port.state() == "on"
    port.close()
    again = make(Wiring(5, factory="mock"))
    assert again.state() == "on"
    again.stop_holder()
    until(lambda: not Path(f"/proc/{again.holder}/exe").exists())


def test_a_holder_that_was_killed_is_started_again(daemon: Pigpiod, make: Make) -> None:
    port = make(wired(daemon))
    port.on()
    first = port.holder
    os.kill(first, signal.SIGKILL)
    port.off()
    assert port.holder != first
    assert daemon.driven(17) == 0


def test_hostile_clients_do_not_end_the_holder(daemon: Pigpiod, make: Make) -> None:
    port = make(wired(daemon))
    port.on()
    for junk in (b"\xff\x00\n", b"[]\n", b'{"op": "off"}\n', b'{"op": "attach"}\n', b"x" * 9000):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(port._socket))
            client.settimeout(5)
            client.sendall(junk)
            with contextlib.suppress(ConnectionResetError):
                assert b'"ok": false' in (client.recv(4096) or b'"ok": false')
    assert port.state() == "on"


def test_the_holders_folder_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert runtime_folder().stat().st_mode & 0o777 == 0o700
    runtime_folder().chmod(0o777)
    with pytest.raises(InfraError, match="belongs to somebody else or is open to others"):
        runtime_folder()
    assert gpio_relay.runtime_folder is runtime_folder
