# SPDX-License-Identifier: GPL-2.0-or-later
"""Which device a USB identity means, now."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.console.usb import Identity, adapters, find
from harness.errors import ConfigError, InfraError


@dataclass
class Port:
    device: str
    vid: int | None = 0x0403
    pid: int | None = 0x6001
    serial_number: str | None = "A50285BI"
    location: str | None = "1-1.4"
    product: str | None = "FT232R USB UART"


FTDI = Port("/dev/ttyUSB0")
TWIN = Port("/dev/ttyUSB1", serial_number="A50285BJ", location="1-1.3")
QUAD = [Port(f"/dev/ttyUSB{n + 2}", pid=0x6011, serial_number="FT4", location=f"1-2:1.{n}") for n in range(4)]
PLAIN = Port("/dev/ttyACM0", 0x2E8A, 0x000C, None, "1-3:1.0", None)
ALL = [*QUAD, FTDI, TWIN, PLAIN]


@pytest.mark.parametrize(
    ("identity", "device"),
    [
        (Identity(serial="A50285BI"), "/dev/ttyUSB0"),
        (Identity(serial="A50285BJ", vid="0403", pid="6001"), "/dev/ttyUSB1"),
        (Identity(serial="FT4", interface=2), "/dev/ttyUSB4"),
        (Identity(vid="2e8a"), "/dev/ttyACM0"),
        (Identity(vid="0403", pid="6011", interface=0), "/dev/ttyUSB2"),
    ],
)
def test_one_fits(identity: Identity, device: str) -> None:
    assert find(identity, lambda: ALL) == device


def test_none_fits_says_what_is_there() -> None:
    with pytest.raises(InfraError) as caught:
        find(Identity(serial="A5028500"), lambda: [FTDI, PLAIN])
    assert "no USB adapter fits (serial A5028500)" in caught.value.what
    assert "/dev/ttyUSB0: FT232R USB UART, vid 0403, pid 6001, serial A50285BI, at 1-1.4" in caught.value.what
    assert "/dev/ttyACM0: adapter, vid 2e8a" in caught.value.what
    with pytest.raises(InfraError, match="no USB serial adapter at all"):
        find(Identity(vid="0403"), list)


def test_what_an_adapter_says_of_itself_is_harmless() -> None:
    evil = Port("/dev/ttyUSB9", product="\x1b]0;owned\x07\x1b[2Jx" * 100, serial_number="\n\r\x9b31m")
    with pytest.raises(InfraError) as caught:
        find(Identity(serial="A"), lambda: [evil])
    assert caught.value.what.isprintable()
    assert len(caught.value.what) < 400


def test_several_fit_says_what_to_add() -> None:
    with pytest.raises(ConfigError) as caught:
        find(Identity(serial="FT4"), lambda: ALL)
    assert "interface:" in caught.value.remedy
    assert "/dev/ttyUSB5" in caught.value.place
    assert "/dev/ttyUSB0" not in caught.value.place


def test_names_of_udev(tmp_path: Path) -> None:
    for name in ("ttyUSB0", "ttyUSB1"):
        (tmp_path / name).touch()
    here = [Port(str(tmp_path / "ttyUSB0")), Port(str(tmp_path / "ttyUSB1"), serial_number="A50285BJ")]
    for kind in ("by-id", "by-path"):
        (tmp_path / kind).mkdir()
    (tmp_path / "by-path" / "usb-0:2").symlink_to("../ttyUSB1")
    (tmp_path / "by-id" / "usb-FTDI").symlink_to("../ttyUSB0")
    socket = Identity(by_path="usb-0:2")
    assert find(socket, lambda: here, tmp_path) == str(tmp_path / "ttyUSB1")
    assert find(Identity(by_id="usb-FTDI"), list, tmp_path) == str(tmp_path / "by-id" / "usb-FTDI"), "not listed"
    # Another adapter in the same socket is not the one that was meant.
    with pytest.raises(InfraError):
        find(Identity(by_path="usb-0:2", serial="A50285BI"), lambda: here, tmp_path)
    (tmp_path / "by-path" / "usb-0:2").unlink()
    with pytest.raises(InfraError, match="by_path usb-0:2"):
        find(socket, lambda: here, tmp_path)


def test_this_machine_can_be_asked() -> None:
    assert all(adapter.vid is not None for adapter in adapters())
