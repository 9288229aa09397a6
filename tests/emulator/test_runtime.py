# SPDX-License-Identifier: GPL-2.0-or-later
"""The runtime without root: event loop, serial line, power socket, and a board whose gear is missing."""

import json
import os
import socket
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.emulator import settings
from harness.emulator.control import Control
from harness.emulator.effects import Halt, Print, Sleep, Steps
from harness.emulator.loop import Loop
from harness.emulator.machine import Machine
from harness.emulator.pi import VirtualPi
from harness.emulator.serial import BACKLOG, SerialLine
from tests.emulator.test_settings import entry, write


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    made.at(made.clock() + 20, lambda: pytest.fail("the loop was not stopped within 20 s"))
    yield made
    made.close()


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something of that name on PATH."""
    program = tmp_path / "qemu-system-aarch64"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def make(loop: Loop, folder: Path, program: Any = None, **changes: Any) -> VirtualPi:
    board = settings.load(write(folder, entry(folder, **changes)))[0]
    return VirtualPi(loop, board, program) if program else VirtualPi(loop, board)


def test_timers_in_their_order_and_cancelled_ones_not(loop: Loop):
    seen: list[str] = []
    now = loop.clock()
    loop.at(now + 0.02, loop.stop)
    loop.at(now + 0.01, lambda: seen.append("second"))
    loop.at(now, lambda: seen.append("first"))
    gone = loop.at(now + 0.005, lambda: seen.append("never"))
    gone.cancel()
    gone.cancel()
    loop.run()
    assert seen == ["first", "second"]


def test_serial_line_carries_every_octet_to_a_late_reader(loop: Loop):
    line = SerialLine(loop, lambda _typed: None)
    data = bytes(range(256)) * 800  # more than a pty holds
    line.write(data)
    reader = os.open(line.path, os.O_RDONLY | os.O_NOCTTY)
    got = bytearray()

    def read(_events: int) -> None:
        got.extend(os.read(reader, 65536))
        if len(got) >= len(data):
            loop.stop()

    loop.watch(reader, read)
    loop.run()
    assert bytes(got) == data
    loop.forget(reader)
    os.close(reader)
    line.close()


def test_serial_line_without_a_reader_never_blocks_and_keeps_the_newest(loop: Loop):
    line = SerialLine(loop, lambda _typed: None)
    for number in range(40):
        line.write(bytes((number,)) * 100_000)
    assert len(line._backlog) == BACKLOG
    assert line._backlog[-1] == 39
    line.close()


def test_serial_line_is_raw_and_gives_what_is_typed(loop: Loop):
    typed = bytearray()

    def on_input(data: bytes) -> None:
        typed.extend(data)
        if len(typed) == 5:
            loop.stop()

    line = SerialLine(loop, on_input)
    writer = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    assert not termios.tcgetattr(writer)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
    os.write(writer, b"a\r\x03\x04\n")
    loop.run()
    assert bytes(typed) == b"a\r\x03\x04\n"
    # A reader that goes does not hang the line up.
    os.close(writer)
    line.write(b"still here")
    again = os.open(line.path, os.O_RDONLY | os.O_NOCTTY)
    assert os.read(again, 100) == b"still here"
    os.close(again)
    line.close()


@pytest.mark.usefixtures("qemu")
def test_power_by_the_socket(loop: Loop, tmp_path: Path):
    def program(m: Machine) -> Steps[None]:
        yield Print(b"hello")
        yield Sleep(m.clock() + 0.01)
        yield Halt("done")

    pi = make(loop, tmp_path, program)
    control = Control(loop, pi)
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(pi.settings.control))
    answers: list[dict[str, Any]] = []
    text = bytearray()

    def read(_events: int) -> None:
        text.extend(client.recv(65536))
        if text.count(b"\n") == 9:
            answers.extend(json.loads(line) for line in bytes(text).splitlines())
            loop.stop()

    loop.watch(client.fileno(), read)
    client.sendall(b'{"op": "state"}\n{"op": "on", "folder": "relative"}\n{"op": "explode"}\nno json\n[]\n')
    client.sendall(b'{"op": "on", "folder": "%s"}\n' % str(tmp_path).encode())
    client.sendall(b'{"op": "on"}\n{"op": "off"}\n{"op": "off"}\n')
    loop.run()
    assert [answer["ok"] for answer in answers] == [True, False, False, False, False, True, True, True, True]
    assert [answer.get("state") for answer in answers] == ["off", None, None, None, None, "on", "on", "off", "off"]
    assert [answer.get("phase") for answer in answers][5:] == ["bootloader", "bootloader", "stopped", "stopped"]
    assert abs(answers[5]["t"] - answers[0]["t"]) < 5
    loop.forget(client.fileno())
    client.close()
    control.close()
    pi.close()
    assert not pi.settings.control.exists()


@pytest.mark.usefixtures("qemu")
def test_a_board_that_halts_is_halted_and_says_so_in_the_log(loop: Loop, tmp_path: Path):
    def program(_m: Machine) -> Steps[None]:
        loop.at(loop.clock(), loop.stop)
        yield Halt("LED code 0/4")

    pi = make(loop, tmp_path, program)
    pi.power_on(None)
    loop.run()
    assert (pi.phase, pi.error) == ("halted", "")
    assert "halted: LED code 0/4" in pi.settings.log.read_text()
    pi.close()


@pytest.mark.usefixtures("qemu")
def test_a_defect_in_one_board_is_told_and_does_not_end_the_process(loop: Loop, tmp_path: Path):
    def program(_m: Machine) -> Steps[None]:
        loop.at(loop.clock(), loop.stop)
        yield Print(b"x")
        raise ZeroDivisionError("oops")

    pi = make(loop, tmp_path, program)
    pi.power_on(None)
    loop.run()
    assert pi.phase == "halted"
    assert "defect" in pi.error
    assert "ZeroDivisionError: oops" in pi.error
    assert "Traceback" in pi.settings.log.read_text()
    pi.close()


@pytest.mark.usefixtures("qemu")
def test_a_tap_that_is_not_there_is_told(loop: Loop, tmp_path: Path):
    pi = make(loop, tmp_path, tap="nosuchtap", speed=10_000)
    pi.power_on(None)

    def look() -> None:
        if pi.phase == "halted":
            loop.stop()
        loop.at(loop.clock() + 0.01, look)

    look()
    loop.run()
    assert "there is no tap nosuchtap" in pi.error
    pi.power_off()
    assert (pi.phase, pi.error) == ("stopped", "")
    pi.close()


def test_without_qemu_the_power_stays_off_and_the_remedy_is_named(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    pi = make(loop, tmp_path)
    control = Control(loop, pi)
    answer = control.answer(b'{"op": "on"}')
    assert answer["ok"] is False
    assert "qemu-system-aarch64 is missing" in answer["error"]
    assert "apt install qemu-system-arm" in answer["error"]
    assert control.answer(b'{"op": "state"}')["state"] == "off"
    control.close()
    pi.close()
