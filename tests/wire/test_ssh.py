# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of ssh, what its words mean, and what two clocks' readings come to."""

import itertools
import json
import shlex
import subprocess
from pathlib import Path

import pytest

from harness.boot.expect import Expectation
from harness.boot.judge import judge
from harness.boot.record import CaptureClock, CaptureInfo
from harness.errors import InfraError
from harness.wire import tcpdump
from harness.wire.hostclock import FILE, Reading, _seconds, clock_of, keep
from harness.wire.place import namespace_refused
from harness.wire.ssh import SshHost

HOST = SshHost("bench-pi", user="lab", port=2222, key="/k/id", known_hosts="/k/known 100%", config="/k/config")


def test_nothing_is_asked_and_no_host_is_taken_on_trust() -> None:
    for host in (SshHost("bench-pi"), HOST):
        argv = host.argv(["true"])
        options = [word for before, word in itertools.pairwise(argv) if before == "-o"]
        assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "ClearAllForwardings=yes"} <= set(options)
        assert not [word for word in argv if "StrictHostKeyChecking=no" in word or "accept-new" in word]
        # ssh takes the first value that it meets: none of the user's files comes before these.
        assert argv.index("StrictHostKeyChecking=yes") < (argv.index("-F") if "-F" in argv else len(argv))


def test_the_host_is_never_read_as_an_option() -> None:
    argv = HOST.argv(["true"])
    assert argv[-3:] == ["--", "bench-pi", "true"]
    assert argv[argv.index("-l") + 1] == "lab"
    assert argv[argv.index("-p") + 1] == "2222"
    assert 'UserKnownHostsFile="/k/known 100%%"' in argv


@pytest.mark.gear
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_word_arrives_as_it_is_in_whatever_shell_is_there(shell: str) -> None:
    """The remote side is `$SHELL -c COMMAND`: the command of our argv, given to a real shell."""
    hostile = ["it's", '"$(touch /tmp/no)"', "a b\nc", "!x", "`id`", "\\", "*", "", "port 69 && (udp or tcp)"]
    command = HOST.supervised(["printf", "%s\\0", *hostile])[-1]
    # The program lives as long as its standard input, the connection.
    with subprocess.Popen([shell, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as there:
        assert there.stdout is not None
        printed = there.stdout.read()
    assert (there.returncode, printed.decode().split("\0")[:-1]) == (0, hostile)
    assert "\n" not in shlex.split(command)[2]  # csh would not take a line's end in quotes


@pytest.mark.gear
def test_a_program_there_takes_signals_by_name_and_ends_with_its_input() -> None:
    program = "trap 'echo usr1' USR1; trap 'echo int; exit 7' INT; echo ready; while :; do sleep 0.05; done"
    command = HOST.supervised(["sh", "-c", program])[-1]
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as there:
        assert there.stdin is not None
        assert there.stdout is not None
        assert there.stdout.readline() == "ready\n"
        there.stdin.write("USR1\n")
        assert there.stdout.readline() == "usr1\n"
        there.stdin.close()  # the connection is gone
        # A shell in the background ignores SIGINT, whatever it traps; tcpdump does not. SIGKILL comes last.
        assert there.wait(timeout=20) in {7, 137}


@pytest.mark.parametrize(
    ("said", "status", "what", "remedy"),
    [
        (
            (
                "No ED25519 host key is known for [h]:22 and you have requested strict checking.\r\n"
                "Host key verification failed.\r\n"
            ),
            255,
            "the host key of bench-pi is not known",
            "ssh -F /k/config -p 2222 -l lab",
        ),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nHost key verification failed.\r\n",
            255,
            "another than the known one",
            "-R '[bench-pi]:2222'",
        ),
        ("lab@bench-pi: Permission denied (publickey).\r\n", 255, "does not let us log in", "authorized_keys"),
        ("ssh: Could not resolve hostname bench-pi: Name or service not known\r\n", 255, "is not known", "host:"),
        ("ssh: connect to host bench-pi port 2222: Connection refused\r\n", 255, "does not answer", "port:"),
        ("Load key: bad permissions\r\n@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\r\n", 255, "others may read", "600"),
        ("tcpdump: listening on x\nTimeout, server bench-pi not responding.\r\n", 255, "was lost: Timeout", "is it up"),
        ("piboot: tcpdump is not installed\n", 127, "tcpdump is not installed on bench-pi", "apt install tcpdump"),
    ],
)
def test_what_ssh_says(said: str, status: int, what: str, remedy: str) -> None:
    error = HOST.explain(said, status)
    assert error is not None
    assert what in error.what
    assert remedy in error.remedy
    assert error.place in {"", "lab@bench-pi"}


def test_what_tcpdump_says_is_not_sshs_fault() -> None:
    said = "tcpdump: eth1: You don't have permission to perform this capture on that device\n"
    assert HOST.explain(said, 1) is None
    error = tcpdump.refused(said, "eth1", "", HOST.name)
    assert error is not None
    assert "on bench-pi" in error.what


def test_namespaces() -> None:
    assert namespace_refused("tcpdump: listening\n", "lab") is None
    for said, what in (
        ("nsenter: cannot open /run/netns/lab: No such file or directory\n", "no network namespace 'lab' on h"),
        ("nsenter: reassociate to namespace 'ns/net' failed: Operation not permitted\n", "no right to enter"),
        ("nsenter: cannot open /run/netns/lab: Permission denied\n", "no right to enter"),
        ("nsenter: failed to execute tcpdump: No such file or directory\n", "tcpdump is not installed on h"),
    ):
        error = namespace_refused(said, "lab", "h")
        assert isinstance(error, InfraError)
        assert what in error.what
        assert error.remedy


@pytest.mark.parametrize(
    ("said", "seconds", "coarse"),
    [
        ("1760000000.123456789", 1760000000.123456789, 0.0),
        ("1760000000.%N", 1760000000.5, 0.5),
        ("1760000000.", 1760000000.5, 0.5),
        ("Welcome!", None, 0.0),
        ("", None, 0.0),
    ],
)
def test_what_date_says(said: str, seconds: float | None, coarse: float) -> None:
    assert _seconds(said) == (seconds, coarse)


def reading(phase: str, t: float, offset: float, uncertainty: float = 0.001) -> Reading:
    return Reading(t, "bench-pi", phase, offset, uncertainty)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("end", "drift", "stepped"),
    [
        (None, None, False),
        (reading("end", 1060.0, 3.2), 0.0, False),
        (reading("end", 1060.0, 3.23), 0.03, False),  # what NTP may slew in a minute
        (reading("end", 1060.0, 3.25), 0.05, True),
        (reading("end", 1060.0, 3.25, 0.05), 0.05, False),  # the measurement is no better
        (reading("end", 1060.0, 2.2), -1.0, True),
    ],
)
def test_what_two_readings_come_to(tmp_path: Path, end: Reading | None, drift: float | None, stepped: bool) -> None:
    assert clock_of(tmp_path) is None
    keep(tmp_path, reading("start", 1000.0, 3.2))
    if end is not None:
        keep(tmp_path, end)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"torn": ')
    assert clock_of(tmp_path) == CaptureClock(
        host="bench-pi", offset_s=3.2, uncertainty_s=0.001, drift_s=drift, stepped=stepped
    )
    assert json.loads((tmp_path / FILE).read_text().splitlines()[0])["phase"] == "start"


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        (CaptureClock(host="h", offset_s=3.0, uncertainty_s=0.01, drift_s=0.0), None),
        (CaptureClock(host="h", offset_s=3.0, uncertainty_s=0.01, drift_s=-4.0, stepped=True), "moved by -4.000 s"),
        (CaptureClock(host="h", offset_s=3.0, uncertainty_s=0.5), "known to ± 0.50 s"),
    ],
)
def test_a_clock_that_is_not_to_be_trusted_is_a_finding(clock: CaptureClock, words: str | None) -> None:
    info = CaptureInfo(packets=1, dropped=0, clock=clock)
    record = judge(Expectation(board="a", model="pi4"), [], capture=info)
    assert record.capture == info
    found = [finding for finding in record.findings if finding.id == "capture-clock"]
    assert [(words or "") in finding.title for finding in found] == ([True] if words else [])
    assert all(finding.severity == "warning" and "chrony" in finding.remedy for finding in found)
