# SPDX-License-Identifier: GPL-2.0-or-later
"""The page about consoles shows what works: its labs load, its ser2net.yaml serves a line."""

import os
import pty
import re
import textwrap
import tty
from pathlib import Path

import pytest

from harness.config import SerialConsole, loads
from harness.config.console import UsbAdapter
from harness.console.milestones import NAMES
from harness.console.port import open_port

from .serial_server import Ser2net, free_port, needs_ser2net

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "serial.md").read_text(encoding="utf-8")


HEAD = """\
version: 1
name: x
boards:
  a:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    power: {driver: usb-hub, hub: "1-1", port: 2}
"""


def test_the_examples_of_the_page_are_right() -> None:
    found = []
    for block in re.findall(r"```yaml\n(console:.*?)```", PAGE, re.DOTALL):
        console = loads(HEAD + textwrap.indent(block, "    ")).boards["a"].console
        assert isinstance(console, SerialConsole)
        found.append(console)
    assert all(any(getattr(console, key) for console in found) for key in ("port", "usb", "url"))
    assert all(name in NAMES for console in found for name in console.baud_after)
    assert any(console.send.char_delay for console in found)


def test_every_key_is_on_the_page() -> None:
    for name in [*SerialConsole.model_fields, *UsbAdapter.model_fields]:
        assert re.search(rf"\b{name}\b", PAGE), name


def test_every_finding_and_message_is_what_the_harness_says() -> None:
    harness = Path(__file__).parents[2] / "harness"
    said = "".join(path.read_text(encoding="utf-8") for path in harness.glob("*/*.py"))
    for text in (
        "the console is in use: ",
        "no USB adapter fits (",
        "several USB adapters fit",
        "RFC 2217",
        "the console drops as soon as it is opened",
        "console-garbled",
        "console-mute",
        "console-gap",
    ):
        assert text in PAGE
        assert text in said


@pytest.mark.gear
@needs_ser2net
def test_the_ser2net_of_the_page_serves_a_console(tmp_path: Path) -> None:
    (config,) = re.findall(r"```ser2net\n(.*?)```", PAGE, re.DOTALL)
    master, slave = pty.openpty()
    tty.setraw(master)
    port = free_port()
    device = re.search(r"serialdev,([^,]+),", config)
    assert device is not None
    config = config.replace(device.group(1), os.ttyname(slave)).replace("10.0.0.5,4001", f"127.0.0.1,{port}")
    with Ser2net(tmp_path, "", config=config, port=port) as server:
        console = open_port(server.url)
        os.write(master, b"login: ")
        got = b""
        while len(got) < 7:
            got += console.read(5.0)
        assert got == b"login: "
        console.write(b"root\n")
        assert os.read(master, 10) == b"root\n"
        console.close()
    os.close(master)
    os.close(slave)
