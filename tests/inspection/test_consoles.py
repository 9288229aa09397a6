# SPDX-License-Identifier: GPL-2.0-or-later
"""The dry run of consoles, against real lines: free, held, refused, gone."""

import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.config import SerialConsole
from harness.console import device_port
from harness.console.holders import Holder
from harness.console.port import open_port
from harness.inspection.consoles import look_at_console
from harness.inspection.seen import Seen, looked
from tests.console.serial_server import Ser2net, needs_ser2net

pytestmark = pytest.mark.gear


@pytest.fixture
def device() -> Iterator[str]:
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def _look(**line: object) -> Seen:
    console = SerialConsole.model_validate({"driver": "serial", **line})
    return looked(Seen("console", "console of b"), lambda row: look_at_console(console, row))


def test_a_device(device: str) -> None:
    row = _look(port=device, baud=9600)
    assert (row.reachable, row.rights, row.state) == (True, True, "free, 9600 baud")
    port = open_port(device)
    row = _look(port=device)
    assert row.reachable is not True
    assert "in use" in row.state
    port.close()


def test_how_a_program_is_kept_from_it_is_told(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_port, "_is_pty", lambda _device: False)
    monkeypatch.setattr(device_port, "holders", lambda _device: [Holder(42, "agetty")])
    row = _look(port=device)
    assert "held by process 42 (agetty)" in row.state
    assert "systemctl disable --now serial-getty@" in row.fix


@needs_ser2net
@pytest.mark.parametrize(
    ("scheme", "state"), [("rfc2217", "free, 115200 baud"), ("telnet", "free"), ("socket", "free")]
)
def test_a_serial_server(device: str, tmp_path: Path, scheme: str, state: str) -> None:
    with Ser2net(tmp_path, device, scheme) as server:
        row = _look(url=server.url)
        assert (row.reachable, row.state) == (True, state)
    row = _look(url=server.url)
    assert row.reachable is not True
    assert "serial server" in row.fix


@needs_ser2net
def test_a_serial_server_whose_port_somebody_has(device: str, tmp_path: Path) -> None:
    with Ser2net(tmp_path, device) as server:
        port = open_port(server.url)
        row = _look(url=server.url)
        assert row.reachable is not True
        assert "in use" in row.state
        assert "another client" in row.fix
        port.close()
