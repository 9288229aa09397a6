# SPDX-License-Identifier: GPL-2.0-or-later
"""Serial consoles in lab.yaml: devices, adapters, serial servers."""

import pytest

from harness.config import LabConfig, SerialConsole, loads
from tests.config.samples import REAL, changed, one

pytestmark = pytest.mark.usefixtures("relay")

LINE = "console: {driver: serial, port: /dev/ttyUSB0}"


def _console(text: str) -> SerialConsole:
    lab: LabConfig = loads(changed(LINE, f"console: {{driver: serial, {text}}}", REAL))
    console = lab.boards["b"].console
    assert isinstance(console, SerialConsole)
    return console


def test_what_stands_for_a_line() -> None:
    assert _console("port: /dev/pts/7").line == "/dev/pts/7"
    assert _console('url: "rfc2217://[::1]:4001"').line == "rfc2217://[::1]:4001"
    console = _console('usb: {vid: "0403", pid: "6015", interface: 1}, baud: 9600, baud_after: {net.link: 921600}')
    assert console.line == "USB adapter vid 0403, pid 6015, interface 1"
    assert (console.baud, console.baud_after, console.reconnect) == (9600, {"net.link": 921600}, 30.0)
    assert _console("port: /dev/x, send: {char_delay: 0.01, chunk: 8}").send.chunk == 8


@pytest.mark.parametrize(
    ("text", "what", "instead"),
    [
        ("baud: 9600", "it has no line", "one of port:"),
        ('port: /dev/x, url: "socket://a:1"', "it has port and url", "one of port:"),
        ('port: "rfc2217://a:1"', "'rfc2217://a:1' is not an absolute path", "slash"),
        ('port: "/rfc2217://a:1"', "a URL is no device", "under url:"),
        ('url: "http://a:1"', "not the URL of a serial server", "rfc2217://"),
        ('url: "telnet://a"', "not the URL of a serial server", "rfc2217://"),
        ('url: "telnet://a:b"', "not the URL of a serial server", "rfc2217://"),
        ('url: "socket://a:1", baud: 9600', "set at its serial server", "rfc2217://"),
        ('url: "telnet://a:1", baud_after: {net.link: 9600}', "set at its serial server", "rfc2217://"),
        ("usb: {}", "it fits every adapter", "say which"),
        ("usb: {interface: 1}", "it fits every adapter", "say which"),
        ('usb: {vid: "403"}', "is not a USB id", "four hex digits"),
        ("usb: {by_id: /dev/serial/by-id/x}", "is not a name in that folder", "only the last part"),
        ("port: /dev/x, baud_after: {kernel: 9600}", "is not a milestone", "record.json"),
        ("port: /dev/x, send: {chunk: 0}", "chunk", ""),
    ],
)
def test_mistakes(text: str, what: str, instead: str) -> None:
    mistake = one(changed(LINE, f"console: {{driver: serial, {text}}}", REAL))
    assert what in mistake.sentence
    assert instead in mistake.instead
    assert mistake.line > 1


def test_two_boards_do_not_share_a_line() -> None:
    second = REAL[REAL.index("  b:\n") :].replace("  b:\n", "  c:\n").replace("91cdf03d", "91cdf03e")
    second = second.replace("02:f7", "02:f8").replace("pin: 17", "pin: 18")
    for line in ('usb: {serial: "A5"}', 'url: "socket://a:1"', "port: /dev/ttyUSB0"):
        text = (REAL + second).replace("port: /dev/ttyUSB0", line)
        assert "the board 'b' has the same console port" in one(text).sentence
