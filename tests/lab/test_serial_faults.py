# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong with a serial line in the middle of a boot, with a real serial server (ser2net) and real ptys (socat).

Each: the right class of error, in bounded time, with the record kept.
"""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from harness.console import usb
from harness.console.port import open_port
from harness.errors import InfraError
from harness.run import Run
from harness.run.replay import replay
from tests.boot.stream import BUDGETS
from tests.console.serial_server import Ser2net, needs_ser2net
from tests.console.uart import sampled
from tests.lab.doubles import BOOT_TEXT, Pty
from tests.lab.serial_bench import Adapter, Bench, Udev

pytestmark = pytest.mark.gear

needs_socat = pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")

TO_KERNEL, REST = "".join(BOOT_TEXT[:3]), "".join(BOOT_TEXT[3:])


# -- serial servers ----------------------------------------------------------------------------------------------------


@needs_ser2net
@pytest.mark.parametrize("scheme", ["rfc2217", "socket", "telnet"])
def test_a_server_that_comes_back(run: Run, pty: Pty, tmp_path: Path, scheme: str) -> None:
    with Ser2net(tmp_path, pty.path, scheme) as server:

        def script(bench: Bench) -> None:
            pty.say(TO_KERNEL)
            bench.heard("Booting Linux")
            server.stop()
            server.start()
            bench.is_back()
            pty.say(REST)

        boot = Bench(run, {"url": server.url}, script).boot()
    assert boot.verdict == "passed", boot.record.reason
    assert boot.record.console is not None
    (gap,) = boot.record.console.gaps
    assert gap.end is not None
    assert gap.end >= gap.start
    assert gap.why
    assert gap.back.startswith("reopened after")
    assert "kernel" in gap.stages
    assert "the console was away" in boot.stages.kernel.note
    (finding,) = [f for f in boot.findings if f.id == "console-gap"]
    assert (finding.severity, finding.who) == ("warning", "lab")


@needs_ser2net
def test_a_server_that_does_not_come_back_is_the_labs_fault(run: Run, pty: Pty, tmp_path: Path) -> None:
    with Ser2net(tmp_path, pty.path) as server:

        def script(bench: Bench) -> None:
            pty.say(TO_KERNEL)
            bench.heard("Booting Linux")
            server.stop()

        boot = Bench(run, {"url": server.url, "reconnect": 1}, script).boot()
    assert boot.verdict == "infra", boot.record.reason
    assert isinstance(boot.error, InfraError)
    assert "did not come back within 1 s" in boot.error.what
    assert "serial server" in boot.error.remedy
    assert boot.record.console is not None
    assert boot.record.console.gaps[0].end is None
    assert "Booting Linux" in boot.console.text


@needs_ser2net
def test_a_budget_that_ends_while_the_console_is_away_is_no_fault_of_the_board(
    run: Run, pty: Pty, tmp_path: Path
) -> None:
    with Ser2net(tmp_path, pty.path) as server:

        def script(bench: Bench) -> None:
            pty.say(TO_KERNEL)
            bench.heard("Booting Linux")
            server.stop()

        budgets = {**BUDGETS, "kernel": 2.0}
        boot = Bench(run, {"url": server.url, "reconnect": 600}, script, budgets=budgets).boot()
    assert boot.verdict == "infra", boot.record.reason
    assert "without it stage kernel cannot be seen" in boot.record.reason
    assert boot.findings[0].who == "lab"


@needs_ser2net
def test_a_prompt_that_was_said_in_the_gap_is_asked_for_again(run: Run, pty: Pty, tmp_path: Path) -> None:
    with Ser2net(tmp_path, pty.path) as server:

        def script(bench: Bench) -> None:
            pty.say("".join(BOOT_TEXT[:-1]))
            bench.until(lambda: bench.board.console.tail().endswith("system mode\n"), "systemd")
            server.stop()
            bench.is_lost()
            server.start()
            assert pty.hear(b"\n") == b"\n", "an empty line, as a person would type it"
            pty.say(BOOT_TEXT[-1])

        boot = Bench(run, {"url": server.url}, script, user="root").boot(until="userspace")
    assert boot.verdict == "passed", boot.record.reason
    assert boot.record.console is not None
    assert "userspace" in boot.record.console.gaps[0].stages


@needs_ser2net
@pytest.mark.parametrize("scheme", ["rfc2217", "telnet", "socket"])
def test_a_port_that_another_client_has(run: Run, pty: Pty, tmp_path: Path, scheme: str) -> None:
    """Over raw TCP (and telnet, when its greetings are over) the connection is taken, and closed with a word that could be
    the board's.
    """
    with Ser2net(tmp_path, pty.path, scheme) as server:
        other = open_port(server.url)
        boot = Bench(run, {"url": server.url, "reconnect": 1}, lambda _bench: None).boot()
        other.close()
    assert boot.verdict == "infra"
    assert "in use" in boot.record.reason or (
        scheme != "rfc2217" and "drops as soon as it is opened, for 1 s now" in boot.record.reason
    )
    assert boot.findings[0].who == "lab"
    assert "another client" in boot.findings[0].remedy


# -- devices -----------------------------------------------------------------------------------------------------------


@needs_socat
@pytest.mark.parametrize("named", ["port", "usb"])
def test_an_adapter_that_is_pulled_out_and_returns_under_another_name(
    run: Run, tmp_path: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    udev = Udev(tmp_path)
    monkeypatch.setattr(usb, "SERIAL", tmp_path)
    first = Adapter(tmp_path, "ttyUSB0")
    udev.plugged(first)
    later: list[Adapter] = []

    def script(bench: Bench) -> None:
        first.say(TO_KERNEL)
        bench.heard("Booting Linux")
        udev.unplugged()
        first.unplug()
        bench.is_lost()
        later.append(Adapter(tmp_path, "ttyUSB1"))
        udev.plugged(later[0])
        bench.is_back()
        later[0].say(REST)

    console = {"port": str(udev.name)} if named == "port" else {"usb": {"by_id": udev.name.name}}
    boot = Bench(run, console, script).boot()
    later[0].unplug()
    assert boot.verdict == "passed", boot.record.reason
    assert boot.record.console is not None
    (gap,) = boot.record.console.gaps
    assert gap.end is not None
    assert gap.stages


def test_a_device_that_another_process_has_is_named(run: Run, pty: Pty) -> None:
    fd = os.open(pty.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    boot = Bench(run, {"port": pty.path}, lambda _bench: None).boot()
    os.close(fd)
    assert boot.verdict == "infra"
    assert "the console is in use" in boot.record.reason
    assert "screen, minicom" in boot.findings[0].remedy


# -- what comes over the line ------------------------------------------------------------------------------------------


@needs_ser2net
@pytest.mark.parametrize("scheme", ["rfc2217", "socket"])
def test_a_flood_of_10_mb_in_the_middle_of_a_boot(run: Run, pty: Pty, tmp_path: Path, scheme: str) -> None:
    block = (b"[    1.0] flood " + b"x" * 83 + b"\r\n") * 100

    def script(_bench: Bench) -> None:
        pty.say(TO_KERNEL)
        for _ in range(1000):
            pty.say(block)
        pty.say("\r\n" + REST)

    with Ser2net(tmp_path, pty.path, scheme) as server:
        boot = Bench(run, {"url": server.url}, script, budgets=dict.fromkeys(BUDGETS, 300.0)).boot()
    assert boot.verdict == "passed", boot.record.reason
    assert boot.record.console is not None
    assert boot.record.console.bytes > 10_000_000


@needs_ser2net
def test_binary_in_the_middle_of_a_boot(run: Run, pty: Pty, tmp_path: Path) -> None:
    every = bytes(range(256)) * 40

    def script(_bench: Bench) -> None:
        pty.say(TO_KERNEL)
        pty.say(every)
        pty.say("\r\n" + REST)

    with Ser2net(tmp_path, pty.path) as server:
        boot = Bench(run, {"url": server.url}, script).boot()
    assert boot.verdict == "passed", boot.record.reason
    assert every in (boot.folder / "console.log").read_bytes()
    assert all(milestone.text.isprintable() for milestone in boot.record.milestones)
    assert boot.record.reason.isprintable()


def test_a_changed_rate_is_on_the_record(run: Run, pty: Pty) -> None:
    """Also when the board says no more; what is changed after the boot is not of it."""
    console = {"port": pty.path, "baud_after": {"kernel.start": 57600}}

    def script(bench: Bench) -> None:
        pty.say(TO_KERNEL)
        bench.until(lambda: bench.board.console.baud == 57600, "the new rate")

    bench = Bench(run, console, script, budgets={**BUDGETS, "kernel": 1.0})
    boot = bench.board.boot()
    bench.board.console.baud = 9600
    bench.board.off()
    assert boot.verdict == "failed(kernel)", boot.record.reason
    assert boot.record.console is not None
    (rate,) = boot.record.console.rates
    assert (rate.baud, rate.offset) == (57600, boot.record.console.bytes)
    assert boot.record.started < rate.t < boot.record.ended
    again = replay(boot.folder).console
    assert again is not None
    assert again.rates == boot.record.console.rates
    assert '"baud", 9600]' in (boot.folder / "console.times").read_text()


def test_a_wrong_rate(run: Run, pty: Pty) -> None:
    heard = sampled("".join(BOOT_TEXT).encode() * 3, 115200, 9600)

    def script(_bench: Bench) -> None:
        pty.say(heard)

    boot = Bench(run, {"port": pty.path, "baud": 9600}, script, budgets={**BUDGETS, "link": 1.0}).boot()
    assert boot.verdict == "failed(link)"
    assert boot.findings[0].id == "console-garbled"
    assert boot.findings[0].who == "config"
    assert "115200" in boot.findings[0].remedy


def test_not_one_octet(run: Run, pty: Pty) -> None:
    boot = Bench(run, {"port": pty.path}, lambda _bench: None, budgets={**BUDGETS, "link": 0.3}).boot()
    assert boot.verdict == "failed(link)"
    assert boot.record.console is not None
    assert boot.record.console.bytes == 0
    (finding,) = [f for f in boot.findings if f.id == "no-sign-of-life"]
    assert "console" in finding.remedy
