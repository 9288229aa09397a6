# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot eeprom` against boards that answer: a shell on a serial line, and an emulated board with a program that tells."""

import json
import os
import pty
import select
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.board.setup import compared
from harness.config import loads
from harness.lab import Lab
from harness.run import Run
from tests.faults.conftest import TEXT as EMULATED

ROOT = Path(__file__).parents[2]

LAB = """
version: 1
name: shelf
boards:
  a:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    power:
      driver: command
      on: ["false"]
      off: ["false"]
      read_back: {command: ["false"], on: {status: 0}, off: {status: 1}}
    console: {driver: serial, port: PORT}
    login: {user: root}
"""


@contextmanager
def shell_on_a_line(environment: dict[str, str]) -> Iterator[str]:
    """A shell behind a serial line: the line's device. Nobody logs in: somebody has forgotten to log out."""
    line, device = pty.openpty()
    tty.setraw(device)
    terminal, inside = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--norc", "-i"],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env={**os.environ, "TERM": "dumb", "PS1": "root@a:~# ", **environment},
        start_new_session=True,
    )
    end, wake = os.pipe()

    def carry() -> None:
        while True:
            ready, _, _ = select.select([line, terminal, end], [], [])
            if end in ready:
                return
            for source, sink in ((line, terminal), (terminal, line)):
                if source in ready:
                    os.write(sink, os.read(source, 4096))

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield os.ttyname(device)
    finally:
        os.write(wake, b"x")
        thread.join(10)
        shell.kill()
        shell.wait(10)
        for descriptor in (line, device, terminal, inside, end, wake):
            os.close(descriptor)


def piboot(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.gear
def test_a_running_board_is_asked_without_a_boot(tmp_path: Path) -> None:
    """Its power driver fails at everything: it is not touched."""
    programs = tmp_path / "bin"
    programs.mkdir()
    conf = tmp_path / "bootconf.txt"
    tool = programs / "vcgencmd"
    tool.write_text(f'#!/bin/sh\n[ "$1" = bootloader_config ] && cat {conf}\n')
    tool.chmod(0o755)
    with shell_on_a_line({"PATH": f"{programs}:{os.environ['PATH']}"}) as device:
        (tmp_path / "lab.yaml").write_text(LAB.replace("PORT", device))
        wanted = piboot("eeprom", "a", cwd=tmp_path)
        assert wanted.returncode == 0, wanted.stderr
        conf.write_text(wanted.stdout)
        same = piboot("eeprom", "a", "--running", cwd=tmp_path)
        assert same.returncode == 0, same.stderr
        assert "DIFFERS" not in same.stdout
        conf.write_text(wanted.stdout.replace("0xf2", "0xf41"))
        other = piboot("eeprom", "a", "--running", "--json", cwd=tmp_path)
        assert other.returncode == 3
        rows = {row["key"]: row["verdict"] for row in json.loads(other.stdout)["keys"]}
        assert rows["BOOT_ORDER"] == "differs"
        assert rows["BOOT_UART"] == "same"
        tool.unlink()
        none = piboot("eeprom", "a", "--running", cwd=tmp_path)
        assert none.returncode == 3
        assert "neither vcgencmd nor rpi-eeprom-config" in none.stderr
    assert not list((tmp_path / "reports").rglob("power.jsonl"))


@pytest.mark.netns
@pytest.mark.qemu
def test_an_emulated_board_tells_what_its_emulator_has(tmp_path: Path) -> None:
    """Its system gets a program that prints the settings which the emulated bootloader was started with."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the emulated lab's NFS server opens files by handle")
    text = EMULATED.replace(
        "login: {user: root}", "login: {user: root}\n    eeprom: {BOOT_ORDER: 0xf2, DHCP_TIMEOUT: 30000}"
    )
    lab = loads(text)
    run = Run.create(tmp_path / "reports", lab="eeprom")
    with Lab(lab, run) as opened:
        board = opened.board("pi4-a")
        boot = board.boot()
        assert boot.passed, boot.record.reason
        (entry,) = json.loads((run.folder / "pi4-a" / "emulator.json").read_text())["boards"]
        has = "".join(f"{key}={value}\\n" for key, value in entry["eeprom"].items())
        script = f'#!/bin/sh\\nprintf "[all]\\\\n{has}"\\n'
        _, status = board.shell.run(f"printf '{script}' > /usr/bin/vcgencmd && chmod 755 /usr/bin/vcgencmd")
        assert status == 0
        rows = {row.key: row.verdict for row in compared(lab, lab.boards["pi4-a"], board.shell)}
        assert rows == {
            "BOOT_ORDER": "same",
            "BOOT_UART": "missing",
            "NET_INSTALL_ENABLED": "missing",
            "BOOT_WATCHDOG_TIMEOUT": "missing",
            "DHCP_TIMEOUT": "same",
        }
        other = loads(text.replace("DHCP_TIMEOUT: 30000", "DHCP_TIMEOUT: 60000"))
        changed = {row.key: row.verdict for row in compared(other, other.boards["pi4-a"], board.shell)}
        assert changed["DHCP_TIMEOUT"] == "differs"


@pytest.mark.netns
@pytest.mark.qemu
def test_compare_boots_the_board_and_says_what_its_system_lacks(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: the emulated lab's NFS server opens files by handle")
    (tmp_path / "lab.yaml").write_text(EMULATED)
    done = piboot("eeprom", "--compare", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "raspi-utils" in done.stderr
    (folder,) = (tmp_path / "reports").iterdir()
    assert json.loads((folder / "pi4-a" / "record.json").read_text())["verdict"] == "passed"
