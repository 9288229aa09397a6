# SPDX-License-Identifier: GPL-2.0-or-later
"""What labgrid's client prints and says, read back: recorded words of 26.0.1, and any others."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.labgrid import LabgridConsole
from harness.config.wire import LabgridWire
from harness.errors import ConfigError, HarnessError, InfraError
from harness.labgrid.client import Client
from harness.labgrid.gear import LabgridPort, serial_line, wire_of
from harness.labgrid.place import Place, parse
from harness.power.port import Timing

from .bench import VERSION

SHOW = """Place 'pi4-rack2':
  matches:
    exp1/rack1/*
  acquired: lab1/alice.piboot
  acquired resources:
    exp1/rack1/NetworkSerialPort/console
  created: 2026-11-21 12:13:23.490710
  changed: 2026-11-21 12:14:01.790367
Orphaned resource 'gone' (exp1/rack1/NetworkPowerPort/gone)
Acquired resource 'console' (exp1/rack1/NetworkSerialPort/console):
  {'acquired': 'pi4-rack2',
   'avail': True,
   'cls': 'NetworkSerialPort',
   'params': {'extra': {'path': '/dev/pts/2',
                        'proxy': 'localhost',
                        'proxy_required': False},
              'host': '10.0.0.7',
              'port': 51987,
              'speed': 57600}}
Acquired resource 'net' (exp1/rack1/RemoteNetworkInterface/net):
  {'acquired': 'pi4-rack2',
   'avail': True,
   'cls': 'RemoteNetworkInterface',
   'params': {'extra': {'proxy': 'localhost', 'proxy_required': False},
              'host': 'exporter-1',
              'ifname': 'eth1'}}
"""


class Recorded(Place):
    """A place whose client is a shell script."""

    def __init__(self, folder: Path, output: str, status: int = 0) -> None:
        (folder / "output").write_text(output)
        program = folder / "client"
        program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\ncat {folder}/output\nexit {status}\n')
        program.chmod(0o755)
        super().__init__(Client("lab-server:20408", str(program), lab="lab.yaml"), "pi4-rack2")


def test_show_is_read() -> None:
    shown = parse(SHOW)
    assert (shown.name, shown.acquired) == ("pi4-rack2", "lab1/alice.piboot")
    assert [(resource.name, resource.cls) for resource in shown.resources] == [
        ("console", "NetworkSerialPort"),
        ("net", "RemoteNetworkInterface"),
    ]
    assert shown.resources[0].params["port"] == 51987
    assert parse(SHOW.replace("lab1/alice.piboot", "None")).acquired == ""


@given(st.text(max_size=200))
def test_any_words_are_read(text: str) -> None:
    parse(text)
    parse(SHOW.replace("57600", text))
    parse(f"Place 'x':\nAcquired resource 'a' (b):\n  {text}")


def test_a_serial_port_becomes_a_line_of_a_serial_server(tmp_path: Path) -> None:
    line = serial_line(
        Recorded(tmp_path, SHOW), LabgridConsole(driver="labgrid", baud_after={"firmware.start_os": 921600})
    )
    assert (line.url, line.baud) == ("rfc2217://10.0.0.7:51987", 57600)
    assert line.baud_after == {"firmware.start_os": 921600}
    raw = SHOW.replace("'host': '10.0.0.7',", "'host': 'fe80::1', 'protocol': 'raw',")
    assert serial_line(Recorded(tmp_path, raw), LabgridConsole(driver="labgrid")).url == "socket://[fe80::1]:51987"


def test_an_interface_becomes_a_wire_reached_by_ssh(tmp_path: Path) -> None:
    wire = wire_of(
        Recorded(tmp_path, SHOW), LabgridWire(kind="labgrid", user="piboot", port=2222, filter="not port 22")
    )
    assert (wire.host, wire.interface, wire.user, wire.port) == ("exporter-1", "eth1", "piboot", 2222)
    assert wire.filter == "not port 22"


@pytest.mark.parametrize("change", [("'exporter-1'", "'-oProxyCommand=x'"), ("'eth1'", "'eth1; reboot'")])
def test_an_exporter_s_words_are_no_options_of_ssh(tmp_path: Path, change: tuple[str, str]) -> None:
    with pytest.raises(InfraError, match="a RemoteNetworkInterface without sense"):
        wire_of(Recorded(tmp_path, SHOW.replace(*change)), LabgridWire(kind="labgrid"))


PROXY = "'proxy_required': {}}},\n              'host': '10.0.0.7'"
AVAIL = "'avail': {},\n   'cls': 'NetworkSerialPort'"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((PROXY.format(False), PROXY.format(True)), "lets nobody reach console but through ssh"),
        (("'port': 51987", "'port': None"), "a NetworkSerialPort without sense"),
        ((AVAIL.format(True), AVAIL.format(False)), "is not there just now"),
        (("'cls': 'NetworkSerialPort'", "'cls': 'Other'"), "it has no serial port"),
    ],
)
def test_a_serial_port_that_cannot_be_used(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert change[0] in SHOW
    with pytest.raises(InfraError, match=said) as caught:
        serial_line(Recorded(tmp_path, SHOW.replace(*change)), LabgridConsole(driver="labgrid"))
    assert caught.value.remedy


def test_of_several_one_is_named(tmp_path: Path) -> None:
    second = SHOW[SHOW.index("Acquired resource 'console'") :].replace("'console'", "'other'").replace("51987", "51988")
    place = Recorded(tmp_path, SHOW + second)
    with pytest.raises(InfraError, match="several of the kind serial port: console, other") as caught:
        serial_line(place, LabgridConsole(driver="labgrid"))
    assert "console: {name: …}" in caught.value.remedy
    assert serial_line(place, LabgridConsole(driver="labgrid", name="other")).url == "rfc2217://10.0.0.7:51988"
    with pytest.raises(InfraError, match="no serial port third, only console, other"):
        serial_line(place, LabgridConsole(driver="labgrid", name="third"))


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("labgrid-client: Error: place pattern pi4-rack2 matches nothing\n", ConfigError, "knows no place 'pi4-rack2'"),
        (
            "ERROR   root: coordinator is unavailable: failed\nServer error: Error: Could not connect to coordinator\n",
            InfraError,
            "the labgrid coordinator does not answer",
        ),
        (
            "labgrid-client: Error: place x is not acquired\n",
            InfraError,
            "labgrid said of pi4-rack2: place x is not acquired",
        ),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'port'\n", InfraError, "KeyError: 'port'"),
        ("\x1b[31mred\x07\n", InfraError, r"\\x1b\[31mred\\x07"),
        ("", InfraError, "exit status 1"),
    ],
)
def test_what_goes_wrong_is_told_by_whose_fault_it_is(
    tmp_path: Path, said: str, kind: type[HarnessError], told: str
) -> None:
    with pytest.raises(kind, match=told) as caught:
        Recorded(tmp_path, said, 1).show()
    assert caught.value.remedy
    assert caught.value.place in {"lab.yaml", "lab-server:20408"}


def test_a_part_of_a_place_s_name_is_not_taken_for_it(tmp_path: Path) -> None:
    place = Recorded(tmp_path, SHOW)
    place.name = "pi4"
    with pytest.raises(ConfigError, match="knows no place 'pi4'"):
        place.show()


def test_no_client(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="cannot be run: No such file or directory") as caught:
        Client("lab-server:20408", str(tmp_path / "labgrid-client"), lab="lab.yaml").run("places")
    assert "venv of its own" in caught.value.remedy
    assert caught.value.place == "lab.yaml"


@pytest.mark.gear
def test_a_client_that_hangs_is_ended_in_time(tmp_path: Path) -> None:
    program = tmp_path / "client"
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o755)
    client = Client("lab-server:20408", str(program), timeout=0.2)
    with pytest.raises(InfraError, match=r"does not answer: .*did not end within 0.2 s"):
        client.run("places")
    with pytest.raises(InfraError, match=r"did not within 0.1 s; last: .*did not end within"):
        LabgridPort(Place(client, "x"), timing=Timing(limit=0.1, poll=0.01)).off()


def test_nobody_s_environment_gets_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LG_PLACE", "PLACE", "LG_ENV", "LG_STATE", "LG_TOKEN", "LG_COORDINATOR", "LG_USERNAME"):
        monkeypatch.setenv(name, "wrong")
    program = tmp_path / "client"
    program.write_text("#!/bin/sh\nenv\n")
    program.chmod(0o755)
    client = Client("lab-server:20408", str(program))
    said = dict(line.split("=", 1) for line in client.run("x").splitlines() if "=" in line)
    assert "wrong" not in said.values()
    assert said["LG_COORDINATOR"] == "lab-server:20408"
    assert client.me == f"{said['LG_HOSTNAME']}/{said['LG_USERNAME']}"
    assert client.me.endswith(".piboot")


def test_power_is_what_labgrid_reads_back(tmp_path: Path) -> None:
    port = LabgridPort(Recorded(tmp_path, "power outlet for place pi4-rack2 is on\n"), "outlet")
    assert port.state() == "on"
    assert port.detail == "power outlet for place pi4-rack2 is on"
    assert (tmp_path / "calls").read_text() == "-p pi4-rack2 power get --name outlet\n"
    assert port.identity == "labgrid place pi4-rack2 power outlet"
    assert LabgridPort(Recorded(tmp_path, "nonsense\n")).state() == "unknown"
    with pytest.raises(
        InfraError, match="does not tell its state: labgrid said of pi4-rack2: target has no compatible"
    ):
        LabgridPort(
            Recorded(tmp_path, "labgrid-client: Error: target has no compatible resource available\n", 1)
        ).state()


def test_the_version_that_is_tried_is_the_one_that_setup_brings() -> None:
    root = Path(__file__).parents[2]
    assert f"version={VERSION} " in (root / "script/setup").read_text(encoding="utf-8")
    assert f"was tried with {VERSION}" in (root / "docs/labgrid.md").read_text(encoding="utf-8")
