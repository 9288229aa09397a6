# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that switch: real processes, their deadlines, and uhubctl's words."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from harness.config import Secret
from harness.errors import InfraError
from harness.power.command import CommandPort, Expected, ReadBack
from harness.power.port import Silent, Timing
from harness.power.program import Runner
from harness.power.usb_hub import UsbHubPort, parse

pytestmark = pytest.mark.gear

QUICK = Timing(limit=0.15, poll=0.02, settle=0.01)
#: For ports that do obey: a busy machine may take its time to start a program.
PATIENT = Timing(limit=10, poll=0.02, settle=0.01)
ON, OFF = Expected("^on$"), Expected("^off$")


def shell(text: str) -> list[str]:
    """A stand-in for a program; the harness itself never makes one of these."""
    return ["/bin/sh", "-c", text]


def test_a_program_that_switches_and_one_that_reads_back(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("off\n")
    port = CommandPort(
        shell(f"echo on > {state}"),
        shell(f"echo off > {state}"),
        ReadBack(["cat", str(state)], ON, OFF),
        timing=PATIENT,
    )
    port.on()
    assert state.read_text() == "on\n"
    assert port.detail == "exit status 0: on"
    port.off()
    assert state.read_text() == "off\n"


def test_arguments_are_not_for_a_shell(tmp_path: Path) -> None:
    nasty = f"$(touch {tmp_path}/hacked); `touch {tmp_path}/hacked`; *"
    argv = [sys.executable, "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", nasty]
    assert json.loads(Runner().run(argv).output) == [nasty]
    assert not (tmp_path / "hacked").exists()


def test_exit_statuses_as_states(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    read_back = ReadBack(["test", "-e", str(flag)], Expected(status=0), Expected(status=1))
    port = CommandPort(["touch", str(flag)], ["rm", str(flag)], read_back, timing=PATIENT)
    port.on()
    port.off()
    assert not flag.exists()


@pytest.mark.parametrize(
    ("on", "look", "cause"),
    [
        (shell("echo no such relay >&2; exit 3"), ["echo", "off"], "ended with exit status 3: no such relay"),
        (["true"], ["echo", "off"], "last: it said 'off' (exit status 0: off)"),
        (["true"], ["echo", "both on", "off"], "last: it said 'unknown'"),
        (["true"], shell("echo on; exit 1"), "last: it said 'unknown' (exit status 1: on)"),
        (shell("kill -9 $$"), ["echo", "off"], "was ended by signal 9"),
        (["/nonexistent/relay"], ["echo", "off"], "/nonexistent/relay cannot be run: No such file or directory"),
        (["true"], ["/dev/null"], "/dev/null cannot be run: Permission denied"),
        (["sleep", "60"], ["echo", "off"], "sleep did not end within 0.3 s"),
    ],
)
def test_programs_that_fail(on: list[str], look: list[str], cause: str) -> None:
    port = CommandPort(on, ["true"], ReadBack(look, ON, OFF), runner=Runner(0.3), timing=QUICK)
    began = time.monotonic()
    with pytest.raises(InfraError) as caught:
        port.on()
    assert cause in caught.value.what
    assert caught.value.remedy
    assert time.monotonic() - began < 5


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(Silent):
        Runner(0.3).run(shell(f"sleep 60 & echo $! >> {pids}; echo $$ >> {pids}; wait"))
    for pid in pids.read_text().split():
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}/exe").exists():
            assert time.monotonic() < deadline, f"{pid} lives"
            time.sleep(0.01)


def test_a_child_that_keeps_the_output_open_does_not_keep_us() -> None:
    began = time.monotonic()
    assert Runner(20).run(shell("sleep 5 & echo on")).output == "on\n"
    assert time.monotonic() - began < 4


def test_floods_and_binary_output_are_cut_and_shown_safely() -> None:
    runner = Runner(20)
    result = runner.run(shell("head -c 3000000 /dev/zero; printf '\\033[31m'"))
    assert len(result.output) == 64 * 1024
    assert "\x1b" not in runner.words(runner.run(shell("printf '\\033[31m\\377 on'")))


def test_a_secret_goes_by_the_environment_and_is_masked() -> None:
    secret = "rl-Tk92Lq0Zx"  # noqa: S105 - planted, to be looked for
    runner = Runner(5, {"RELAY_TOKEN": Secret(secret)})
    read_back = ReadBack(shell("echo token $RELAY_TOKEN is bad"), ON, OFF)
    port = CommandPort(shell("echo $RELAY_TOKEN; exit 1"), ["true"], read_back, runner=runner, timing=QUICK)
    with pytest.raises(InfraError, match=r"exit status 1: \*{8}") as caught:
        port.on()
    assert "token ******** is bad" in port.detail
    assert secret not in str(caught.value) + port.detail + repr(runner)
    assert "RELAY_TOKEN" not in os.environ


USB2 = """Current status for hub 1-1 [2109:2813 VIA Labs, Inc. USB2.0 Hub, USB 2.10, 4 ports, ppps]
  Port 1: 0100 power
  Port 2: 0503 power highspeed enable connect [0424:7800 power off]
"""
AFTER_OFF = """Current status for hub 2-1 [2109:0813 VIA Labs, Inc. USB3.0 Hub, USB 3.20, 4 ports, ppps]
  Port 2: 02a0 power 5gbps Rx.Detect
Sent power off request
New status for hub 2-1 [2109:0813 VIA Labs, Inc. USB3.0 Hub, USB 3.20, 4 ports, ppps]
  Port 2: 0080 off
Current status for hub 1-1 [2109:2813 VIA Labs, Inc. USB2.0 Hub, USB 2.10, 4 ports, ppps]
  Port 2: 0503 power highspeed enable connect [0424:7800]
Sent power off request
New status for hub 1-1 [2109:2813 VIA Labs, Inc. USB2.0 Hub, USB 2.10, 4 ports, ppps]
  Port 2: 0000 off
"""


def test_uhubctls_words() -> None:
    assert parse(USB2, 1) == {"1-1": "0100 power"}
    assert parse(USB2, 2) == {"1-1": "0503 power highspeed enable connect"}
    assert parse(AFTER_OFF, 2) == {"2-1": "0080 off", "1-1": "0000 off"}
    assert parse(AFTER_OFF, 1) == {}
    assert parse("Port 2: 0100 power\n\x00\xff", 2) == {}


def uhubctl(tmp_path: Path, *, stuck: bool = False) -> list[str]:
    """A program that speaks as uhubctl 2.5 does, about port 2 of the hub 1-1 and its USB 3 half, and remembers."""
    program = tmp_path / "uhubctl"
    program.write_text(f"""#!/bin/sh
echo "$@" >> {tmp_path}/calls
case "$*" in
"-l 1-1 -p 2 -a on") {":" if stuck else f"touch {tmp_path}/on"} ;;
"-l 1-1 -p 2 -a off -r 2") rm -f {tmp_path}/on ;;
"-l 1-1 -p 2") ;;
*) echo "No compatible devices detected at location $2!" >&2; exit 1 ;;
esac
if [ -e {tmp_path}/on ]; then two="0503 power highspeed enable connect [0424:7800 Pi]"; three="02a0 power 5gbps Rx.Detect"
else two="0000 off"; three="0080 off"; fi
echo "Current status for hub 2-1 [2109:0813 VIA, USB 3.20, 4 ports, ppps]"; echo "  Port 2: $three"
echo "Current status for hub 1-1 [2109:2813 VIA, USB 2.10, 4 ports, ppps]"; echo "  Port 2: $two"
""")
    program.chmod(0o755)
    return [str(program)]


def test_a_usb_port(tmp_path: Path) -> None:
    port = UsbHubPort(hub="1-1", port=2, program=uhubctl(tmp_path), timing=Timing(limit=5, poll=0.02, settle=0.01))
    port.on()
    assert port.detail == "hub 2-1: 02a0 power 5gbps Rx.Detect, hub 1-1: 0503 power highspeed enable connect"
    port.off()
    assert port.state() == "off"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call for call in calls if "-a" in call] == ["-l 1-1 -p 2 -a on", "-l 1-1 -p 2 -a off -r 2"]


def test_usb_hubs_that_do_not_do_it(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="No compatible devices detected at location 3-4!"):
        UsbHubPort(hub="3-4", port=2, program=uhubctl(tmp_path), timing=QUICK).on()
    with pytest.raises(InfraError, match="did not within"):
        UsbHubPort(hub="1-1", port=2, program=uhubctl(tmp_path, stuck=True), timing=QUICK).on()


@pytest.mark.gear
def test_the_real_uhubctl_without_a_hub() -> None:
    program = shutil.which("uhubctl", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("needs uhubctl: apt install uhubctl")
    with pytest.raises(
        InfraError, match=r"uhubctl ended with exit status 1: .*No compatible devices detected at location 99-9"
    ):
        UsbHubPort(hub="99-9", port=2, program=[program], timing=QUICK).state()
