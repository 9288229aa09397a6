# SPDX-License-Identifier: GPL-2.0-or-later
"""Power gear that fails under a whole `piboot boot`, against the real counterparts: snmpd, a hostile UDP responder, a holder of a
GPIO line. Each: `infra`, in bounded time, with the power state known and the record kept.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.power.gpio_line import Wiring
from harness.power.gpio_relay import GpioRelayPort
from harness.run.replay import read_record
from tests.power.pigpiod import Pigpiod
from tests.power.snmpd import COMMUNITY, Switch, free_port, snmpd

pytestmark = pytest.mark.gear
ROOT = Path(__file__).parents[2]

BOARD = """
version: 1
name: shelf
boards:
  shelf-7:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    power: {POWER}
policy: {after_run: "POLICY", off_time: OFF_TIME}
"""
SWITCH = (
    "driver: poe-snmp, host: 127.0.0.1, udp_port: PORT, port: 7, community: {env: COMMUNITY}, "
    "timeout: 1, retries: 0, limit: 1"
)
RELAY = "driver: gpio-relay, pin: 17, factory: pigpio, host: 127.0.0.1, tcp_port: PORT, on_exit: ON_EXIT, limit: 3"


@dataclass
class Bench:
    """A folder with a lab.yaml, and `piboot` in it."""

    folder: Path

    def lab(self, power: str, policy: str = "off", off_time: float = 0.0) -> None:
        text = BOARD.replace("POWER", power).replace("POLICY", policy).replace("OFF_TIME", str(off_time))
        (self.folder / "lab.yaml").write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(ROOT), "COMMUNITY": COMMUNITY, "XDG_RUNTIME_DIR": str(self.folder / "runtime")}
        # What a killed run has left is put in order by the next one: not by another test's.
        return {**os.environ, **own, "PIBOOT_LOCKS": str(self.folder / "locks")}

    def start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "harness.cli", "boot", "--until", "power"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def boot(self) -> tuple[int, str]:
        """Exit code and what was said. It ends within half a minute, whatever the gear does."""
        process = self.start()
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    @property
    def boots(self) -> list[Path]:
        """Folders of all boots, in order."""
        return sorted(path.parent for path in (self.folder / "reports").glob("*/shelf-7*/expect.json"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    for name in ("runtime", "locks"):
        (tmp_path / name).mkdir(mode=0o700)
    return Bench(tmp_path)


@pytest.fixture
def switch(bench: Bench) -> Iterator[Switch]:
    folder = bench.folder / "gear"
    folder.mkdir()
    with snmpd(folder) as running:
        bench.lab(SWITCH.replace("PORT", str(running.port)))
        yield running


@contextmanager
def babbler(answer: Callable[[bytes], list[bytes]]) -> Iterator[int]:
    """A UDP responder that is no agent: its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        over = threading.Event()

        def babble() -> None:
            while not over.is_set():
                data, peer = server.recvfrom(65536)
                for reply in answer(data) if not over.is_set() else []:
                    server.sendto(reply, peer)

        thread = threading.Thread(target=babble, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.sendto(b"end", server.getsockname())
            thread.join(10)


def twisted(request: bytes) -> list[bytes]:
    """The request with every octet of its end changed, many times: SNMP in its first half only."""
    half = len(request) // 2
    return [request[:half] + bytes(octet ^ mask for octet in request[half:]) for mask in (1, 0x80, 0xFF)] * 20


HOSTILE: dict[str, Callable[[bytes], list[bytes]]] = {
    "noise": lambda _request: [b"\xff" * 1400, b"\x1b[2J\x1b]0;x\x07", b""],
    "its own request": lambda request: [request],
    "twisted": twisted,
    "a flood": lambda _request: [b"0\x82\xff\xff\x02\x01\x01"] * 500,
    "a length without end": lambda _request: [b"0\x84\x7f\xff\xff\xff" + b"\x04" * 100],
}


def assert_infra(bench: Bench, code: int, said: str, cause: str) -> None:
    assert code == 3, said
    assert "Traceback" not in said
    record = read_record(bench.boots[0] / "record.json")
    assert record.verdict == "infra"
    assert cause in record.reason, record.reason
    assert record.findings[0].remedy
    assert (bench.boots[0].parent / "report.html").exists()
    assert "\x1b[2J" not in said


def test_a_switch_that_is_not_there(bench: Bench) -> None:
    bench.lab(SWITCH.replace("PORT", str(free_port())))
    assert_infra(bench, *bench.boot(), "unreachable, or it does not know this community")
    (boot,) = bench.boots
    notes = json.loads((boot.parent / "run.json").read_text())["notes"]
    assert "after the boot of shelf-7: PoE switch" in notes[-1], "it could not be switched off, either"


def test_a_port_that_does_not_switch_off_is_told_after_the_boot(bench: Bench, switch: Switch) -> None:
    """The boot is judged by what it did; that its board could not be switched off is the lab's fault, and told as such."""
    switch.change(manner="clings")
    code, said = bench.boot()
    assert code == 3, said
    assert "was told to switch off and did not" in said
    (boot,) = bench.boots
    assert read_record(boot / "record.json").verdict == "passed"


@pytest.mark.parametrize(
    "manner", [name if name == "twisted" else pytest.param(name, marks=pytest.mark.slow) for name in HOSTILE]
)
def test_an_agent_that_answers_garbage(bench: Bench, manner: str) -> None:
    with babbler(HOSTILE[manner]) as port:
        bench.lab(SWITCH.replace("PORT", str(port)))
        assert_infra(bench, *bench.boot(), f"127.0.0.1:{port}")


def test_an_agent_that_takes_5_seconds_and_lab_yaml_waits_one(bench: Bench, switch: Switch) -> None:
    switch.change(manner="slow")
    assert_infra(bench, *bench.boot(), "no answer from")
    assert switch.data["ports"]["7"]["status"] == 1, "it is as it was: off"


def test_set_accepted_and_nothing_changes(bench: Bench, switch: Switch) -> None:
    switch.change(manner="stuck")
    assert_infra(bench, *bench.boot(), "was told to switch on and did not within 1 s; last: it said 'off' (disabled)")
    assert switch.sets
    assert switch.data["ports"]["7"]["status"] == 1


def test_no_power_left_in_the_budget(bench: Bench, switch: Switch) -> None:
    switch.change(manner="denied")
    assert_infra(bench, *bench.boot(), "port 7: denied, power budget (62 of 65 W in use)")
    assert switch.data["ports"]["7"]["admin"] == 2, "it is switched off again: power may not come later"


# --- kill -9 between off and on --------------------------------------------------------------------------------------------


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 40
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def confirmed_off(bench: Bench) -> bool:
    for path in (bench.folder / "reports").glob("*/shelf-7/power.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        if any(row.get("on") is False and row["phase"] == "confirmed" for row in rows):
            return True
    return False


def kill_in_the_off_time(bench: Bench) -> None:
    """Half a minute lies between the confirmed off and on, however busy the machine is."""
    process = bench.start()
    try:
        until(lambda: confirmed_off(bench) or process.poll() is not None, "it did not switch off")
    finally:
        process.kill()
        process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL


def test_kill_9_between_off_and_on_at_a_switch(bench: Bench, switch: Switch) -> None:
    """The port stays off, the boot can be judged from what it left, and the next run has the board."""
    power = SWITCH.replace("PORT", str(switch.port))
    bench.lab(power, off_time=30.0)
    switch.change(admin=1, status=3)
    kill_in_the_off_time(bench)
    bench.lab(power)
    assert switch.data["ports"]["7"]["status"] == 1
    (killed,) = bench.boots
    assert not (killed / "record.json").exists()
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "report"], cwd=bench.folder, env=bench.environment, check=False
    )
    assert done.returncode == 0
    assert read_record(killed / "record.json").verdict == "failed(power)"
    code, said = bench.boot()
    assert code == 0, said
    assert switch.data["ports"]["7"]["status"] == 1, "the policy says off"


@pytest.mark.parametrize(
    ("on_exit", "level"),
    [
        pytest.param("keep", 0, marks=pytest.mark.slow),
        pytest.param("off", 0, marks=pytest.mark.slow),
        ("on", 1),
    ],
)
def test_kill_9_between_off_and_on_at_a_relay(bench: Bench, on_exit: str, level: int) -> None:
    """The line goes where on_exit says, and is driven all the time."""
    pytest.importorskip("pigpio", reason="needs pigpio: pip install pigpio")
    with ExitStack() as stack:
        daemon = Pigpiod()
        stack.callback(daemon.close)
        port = relay(bench, daemon, stack, on_exit="keep")
        port.on()
        port.close()
        # The policy has nothing against it: what the holder does is looked at.
        bench.lab(RELAY.replace("PORT", str(daemon.port)).replace("ON_EXIT", on_exit), "keep", 30.0)
        kill_in_the_off_time(bench)
        until(lambda: daemon.driven(17) == level, f"the line is at {daemon.driven(17)}")
        again = relay(bench, daemon, stack, on_exit="keep")
        assert again.state() == ("on" if level else "off")


def test_a_pin_that_another_process_has(bench: Bench) -> None:
    pytest.importorskip("pigpio", reason="needs pigpio: pip install pigpio")
    with ExitStack() as stack:
        daemon = Pigpiod()
        stack.callback(daemon.close)
        port = relay(bench, daemon, stack, on_exit="keep")
        port.on()
        bench.lab(RELAY.replace("PORT", str(daemon.port)).replace("ON_EXIT", "off"))
        assert_infra(bench, *bench.boot(), f"the pin is busy: process {os.getpid()} has it")
        assert daemon.driven(17) == 1, "it stays as its owner has it"


def relay(bench: Bench, daemon: Pigpiod, stack: ExitStack, on_exit: str) -> GpioRelayPort:
    """A port of this test's, whose holder ends with the test."""
    folder = bench.folder / "runtime" / "piboot"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert on_exit == "keep"
    port = GpioRelayPort(Wiring(17, factory="pigpio", host="127.0.0.1", port=daemon.port), folder=folder)

    def end() -> None:
        port.close()
        holder = port.holder
        if holder:
            try:
                os.kill(holder, signal.SIGTERM)
            except ProcessLookupError:
                return

    stack.callback(end)
    return port


def test_two_runs_at_once_take_turns_at_a_port(bench: Bench, switch: Switch) -> None:
    """Neither disturbs the other: each switches on and off again before the other begins."""
    runs = [bench.start() for _ in range(2)]
    said = [process.communicate(timeout=90)[0] for process in runs]
    assert [process.returncode for process in runs] == [0, 0], said
    assert switch.sets == ["set 7 1", "set 7 2"] * 2
    assert switch.data["ports"]["7"]["status"] == 1


def test_the_off_time_of_the_labs_policy(bench: Bench, switch: Switch) -> None:
    """Counted from the confirmed off, by the journal of a whole boot."""
    bench.lab(SWITCH.replace("PORT", str(switch.port)), off_time=1.5)
    switch.change(admin=1, status=3)
    code, said = bench.boot()
    assert code == 0, said
    (boot,) = bench.boots
    rows = [json.loads(line) for line in (boot / "power.jsonl").read_text().splitlines()]
    off = next(row["t"] for row in rows if row.get("on") is False and row["phase"] == "confirmed")
    on = next(row["t"] for row in rows if row.get("on") is True)
    assert on - off >= 1.5
    loss = read_record(boot / "record.json").power_loss
    assert loss is not None
    assert (loss.proved, loss.text) == (True, "PoE class gone")
