# SPDX-License-Identifier: GPL-2.0-or-later
"""The dry run of a lab's gear, each against its real counterpart: nobody's power changes by it."""

import os
import pty
import shutil
import socket
import subprocess
import sys
import tty
from pathlib import Path

import pytest

from harness.config import LabConfig, loads
from harness.inspection import Seen, format_rows, survey
from tests.power.driver_doubles import web
from tests.power.pigpiod import Pigpiod
from tests.power.snmpd import COMMUNITY, snmpd
from tests.power.test_http_switch import PASSWORD, Switches
from tests.servers.test_ordinary_user import as_nobody, works

pytestmark = pytest.mark.gear


def lab_of(power: str, more: str = "", head: str = "") -> LabConfig:
    board = f"""version: 1
name: shelf
{head}
boards:
  b:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    power: {power}
{more}"""
    return loads(board)


def only(lab: LabConfig, kind: str = "power") -> Seen:
    (row,) = [row for row in survey(lab) if row.kind == kind]
    return row


def test_a_poe_switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMUNITY", COMMUNITY)
    with snmpd(tmp_path) as switch:
        keys = f"driver: poe-snmp, host: 127.0.0.1, udp_port: {switch.port}, port: 7, timeout: 5, retries: 1"
        row = only(lab_of(f"{{{keys}, community: {{env: COMMUNITY}}}}"))
        assert (row.reachable, row.rights) == (True, True)
        assert row.gear == f"power of b: PoE switch 127.0.0.1:{switch.port} port 7"
        assert row.identity.startswith("Linux")  # snmpd's sysDescr is the host's uname
        assert row.state.startswith("off")
        assert switch.sets == [], "nothing was set"
        monkeypatch.setenv("COMMUNITY", "planted-wrong")
        row = only(lab_of(f"{{{keys.replace('timeout: 5', 'timeout: 0.3')}, community: {{env: COMMUNITY}}}}"))
        assert (row.reachable, row.ok) == (False, False)
        assert "it does not know this community" in row.state
        assert "credentials" in row.fix
        assert "planted-wrong" not in format_rows([row])
    monkeypatch.delenv("COMMUNITY")
    row = only(lab_of(f"{{{keys}, community: {{env: COMMUNITY}}}}"))
    assert (row.reachable, row.rights) == (None, False)
    assert "COMMUNITY is not set" in row.state


ABOUT = {
    "/shelly": b'{"type":"SHSW-25","mac":"98CDAC1F","fw":"20230913-112003/v1.14.0"}',
    "/rpc/Shelly.GetDeviceInfo": b'{"model":"SPSW-104PE16EU","app":"Pro4PM","ver":"1.4.4"}',
    "/cm?cmnd=Status%202": b'{"StatusFWR":{"Version":"12.4.0(tasmota)","Hardware":"ESP8266EX"}}',
}


@pytest.mark.parametrize(
    ("preset", "identity"),
    [
        ("shelly-gen1", "SHSW-25 20230913-112003/v1.14.0"),
        ("shelly-gen2", "SPSW-104PE16EU Pro4PM 1.4.4"),
        ("tasmota", "12.4.0(tasmota) ESP8266EX"),
        ("esphome", ""),
    ],
)
def test_rest_switches_say_what_they_are(preset: str, identity: str) -> None:
    switches = Switches()

    def answer(method: str, path: str, body: bytes, headers: object) -> tuple[int, str, bytes]:
        if path in ABOUT:
            return 200, "application/json", ABOUT[path]
        return switches.answer(method, path, body, headers)

    with web(answer) as (url, _):
        row = only(lab_of(f"{{driver: http, preset: {preset}, url: '{url}'}}"))
    assert (row.reachable, row.rights, row.identity) == (True, True, identity)
    assert row.state.startswith("off")
    assert not any(switches.outputs.values())


def test_a_rest_switch_that_wants_another_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCH", PASSWORD)
    with web(lambda *_: (403, "Forbidden", b"no")) as (url, _):
        keys = f"driver: http, preset: tasmota, url: '{url}', user: u, password: {{env: SWITCH}}"
        row = only(lab_of(f"{{{keys}}}"))
    assert (row.reachable, row.rights) == (True, False), row
    assert "user or password is wrong" in row.state
    assert PASSWORD not in str(row)


def test_a_switch_that_is_not_there() -> None:
    row = only(lab_of("{driver: http, preset: tasmota, url: 'http://127.0.0.1:9'}"))
    assert (row.reachable, row.rights, row.ok) == (False, None, False)
    assert "no answer from 127.0.0.1:9" in row.state


def test_pdudaemon_is_only_knocked_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as daemon:
        url = f"http://127.0.0.1:{daemon.getsockname()[1]}"
        row = only(lab_of(f"{{driver: pdu, url: '{url}', hostname: apc, port: '3'}}"))
        daemon.settimeout(5)
        connection, _ = daemon.accept()
        with connection:
            assert connection.recv(100) == b"", "no word was said"
    assert (row.reachable, row.state) == (True, "unknown")
    assert "read_back" in row.fix
    assert row.ok
    row = only(lab_of(f"{{driver: pdu, url: '{url}', hostname: apc, port: '3'}}"))
    assert (row.reachable, "is pdudaemon running" in row.fix) == (False, True)


def test_programs(tmp_path: Path) -> None:
    (tmp_path / "power").write_text("on\n")
    said = f"{{command: [cat, {tmp_path}/power], on: {{output: 'on'}}, off: {{output: 'off'}}}}"
    row = only(lab_of(f"{{driver: command, on: [touch, {tmp_path}/x], off: [touch, {tmp_path}/x], read_back: {said}}}"))
    assert (row.reachable, row.rights) == (True, True)
    assert row.identity == ", ".join(str(shutil.which(name)) for name in ("touch", "cat"))
    assert row.state.startswith("on")
    assert not (tmp_path / "x").exists()
    row = only(lab_of(f"{{driver: command, on: [no-such-program], off: [touch, x], read_back: {said}}}"))
    assert (row.reachable, "no such program" in row.state) == (False, True)


UHUBCTL = """#!/bin/sh
echo "Current status for hub 1-1 [0bda:5411 Generic USB2.1 Hub, USB 2.10, 4 ports, ppps]"
echo "  Port 2: 0103 power enable connect [0424:ec00]"
"""


def test_a_usb_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uhubctl").write_text(UHUBCTL)
    (tmp_path / "uhubctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    row = only(lab_of("{driver: usb-hub, hub: 1-1, port: 2}"))
    assert (row.reachable, row.rights) == (True, True)
    assert row.identity == "0bda:5411 Generic USB2.1 Hub, USB 2.10, 4 ports, ppps"
    assert row.state.startswith("on, hub 1-1: 0103 power")


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    (tmp_path / "runtime").mkdir(mode=0o700)
    return tmp_path


@pytest.mark.usefixtures("runtime")
def test_a_relay_s_line_is_not_taken_for_a_look() -> None:
    daemon = Pigpiod()
    try:
        row = only(
            lab_of(f"{{driver: gpio-relay, pin: 17, factory: pigpio, host: 127.0.0.1, tcp_port: {daemon.port}}}")
        )
        assert (row.reachable, row.ok) == (True, True)
        assert "nobody holds the line yet" in row.state
        assert daemon.log == [], "no pin was touched"
    finally:
        daemon.close()
    row = only(lab_of(f"{{driver: gpio-relay, pin: 17, factory: pigpio, host: 127.0.0.1, tcp_port: {daemon.port}}}"))
    assert (row.reachable, "pigpiod" in row.fix) == (False, True)


@pytest.mark.usefixtures("runtime")
def test_a_relay_s_line_that_is_held_is_asked_and_let_go_as_it_was() -> None:
    from harness.power.gpio_line import Wiring  # noqa: PLC0415
    from harness.power.gpio_relay import GpioRelayPort  # noqa: PLC0415

    port = GpioRelayPort(Wiring(17, factory="mock"))
    port.on()
    lab = lab_of("{driver: gpio-relay, pin: 17, factory: mock, on_exit: off}")
    busy = only(lab)
    assert (busy.reachable, busy.rights) == (True, False)
    assert "is busy" in busy.state
    port.close()
    for _ in range(2):  # a look with on_exit: off would switch it off on its way out
        row = only(lab)
        assert (row.reachable, row.rights, row.state.startswith("on")) == (True, True, True)
    port.stop_holder()


def test_consoles(tmp_path: Path) -> None:
    board, line = pty.openpty()
    tty.setraw(line)
    name = os.ttyname(line)
    power = "{driver: command, on: ['true'], off: ['true'], read_back: {command: ['true'], on: {status: 0}, off: {status: 1}}}"
    lab = lab_of(power, f"    console: {{driver: serial, port: {name}}}\n")
    row = only(lab, "console")
    assert (row.reachable, row.rights, row.identity) == (True, True, "")
    assert "free" in row.state
    os.close(line)
    os.close(board)
    row = only(lab, "console")
    assert (row.reachable, row.ok) == (False, False)
    assert row.fix


def test_an_emulated_lab_has_no_gear_to_ask() -> None:
    from tests.config.samples import GOOD  # noqa: PLC0415

    assert survey(loads(GOOD)) == []


WIRE = """
import json, sys
from pathlib import Path
from harness.config import InterfaceWire
from harness.inspection.seen import Seen, looked
from harness.inspection.wires import look_at_wire
wire = InterfaceWire(kind="interface", interface="lo")
row = looked(Seen("wire", "wire lo"), lambda row: look_at_wire(wire, "e4:5f:01:09:02:f7", row))
print(json.dumps([row.reachable, row.rights, row.identity, row.state, row.fix]))
"""


@pytest.mark.netns
def test_without_root_one_right_on_tcpdump_is_enough(tmp_path_factory: pytest.TempPathFactory) -> None:
    """As an ordinary user, with a copy of tcpdump: first without the right, then with CAP_NET_RAW alone."""
    import json  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    if os.geteuid() != 0 or shutil.which("setcap", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        pytest.skip("needs root to become an ordinary user, and setcap")
    root = Path(__file__).parents[2]
    python = next((p for p in (sys.executable, "/usr/bin/python3") if works(*as_nobody(p, "-c", "import sys"))), None)
    assert python is not None
    folder = Path(tempfile.mkdtemp(prefix="piboot-test-", dir="/tmp"))
    folder.chmod(0o755)
    real = shutil.which("tcpdump", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert real is not None
    shutil.copy(real, folder / "tcpdump")
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    environment = {
        "PATH": f"{folder}:/usr/bin:/bin",
        "PYTHONPATH": f"{root}:{packages}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def look() -> list[str]:
        argv = as_nobody(python, "-P", "-c", WIRE)
        done = subprocess.run(argv, env=environment, cwd="/", capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        found: list[str] = json.loads(done.stdout)
        return found

    try:
        reachable, rights, _, state, fix = look()
        assert (reachable, rights) == (True, False)
        assert "no right to capture on lo" in state
        assert "setcap cap_net_raw=ep" in fix
        subprocess.run(["setcap", "cap_net_raw=ep", str(folder / "tcpdump")], check=True)
        reachable, rights, identity, state, fix = look()
        assert (reachable, rights, fix) == (True, True, ""), state
        assert identity.startswith("tcpdump version")
        assert state.startswith("listened after")
    finally:
        shutil.rmtree(folder)
