# SPDX-License-Identifier: GPL-2.0-or-later
"""From the firmware's payload to QEMU's arguments and the record of what was changed."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.emulator import handover
from harness.emulator.payload import Loaded, Payload

PAYLOAD = Payload(
    kernel=Loaded("91cdf03d/../../etc/passwd", b"kernel"),
    initramfs=Loaded("91cdf03d/initramfs8", b"initramfs"),
    dtb=Loaded("91cdf03d/bcm2711-rpi-4-b.dtb", b"dtb"),
    compatible=("raspberrypi,4-model-b",),
    dtb_ok=True,
    cmdline_received="console=serial0,115200 console=tty1 root=/dev/nfs",
    cmdline="console=ttyS0,115200 console=tty1 root=/dev/nfs",
    console="ttyS0",
    notes=("a note",),
)


def adapt(cmdline: str, console: str = "ttyS0") -> handover.Adapted:
    return handover.adapt(replace(PAYLOAD, cmdline=cmdline, cmdline_received=cmdline, console=console))


@pytest.mark.parametrize(
    ("cmdline", "console", "used", "heard"),
    [
        ("console=ttyS0,115200 quiet", "ttyS0", "console=ttyAMA0,115200 quiet", True),
        ("console=ttyAMA0,115200n8 quiet", "ttyAMA0", "console=ttyAMA0,115200n8 quiet", True),
        ("console=ttyAMA0 quiet", "ttyS0", "quiet", False),
        ("console=ttyS0 quiet", "ttyAMA0", "quiet", False),
        ("console=tty1 quiet", "ttyS0", "console=tty1 quiet", False),
        ("console=ttyS0 quiet", "", "quiet", False),
        ("earlycon=uart8250,mmio32,0xfe215040 console=ttyS0", "ttyS0", "console=ttyAMA0", True),
        ("earlycon console=ttyS0", "ttyS0", "console=ttyAMA0", True),
        ("myconsole=ttyS0 console=ttyS0", "ttyS0", "myconsole=ttyS0 console=ttyAMA0", True),
        ("", "ttyS0", "", False),
    ],
)
def test_consoles(cmdline: str, console: str, used: str, heard: bool):
    adapted = adapt(cmdline, console)
    assert (adapted.cmdline, adapted.heard) == (used, heard)
    assert bool(adapted.changes) == (used != cmdline or not heard)


def test_a_silent_console_is_explained():
    assert any("enable_uart=1" in change for change in adapt("console=ttyS0", "").changes)
    assert any("no console=ttyS0" in change for change in adapt("console=tty1").changes)


def test_record_says_what_was_received_and_what_was_changed():
    adapted = handover.adapt(PAYLOAD)
    record = handover.record(PAYLOAD, adapted, qemu="QEMU 7.2", machine="virt", memory=512, argv=["qemu", "-x"])
    assert record["kernel"] == {
        "path": "91cdf03d/../../etc/passwd",
        "bytes": 6,
        "sha256": hashlib.sha256(b"kernel").hexdigest(),
    }
    assert record["dtb"]["used"] is False
    assert record["dtb"]["ok"] is True
    assert record["dtb"]["compatible"] == ["raspberrypi,4-model-b"]
    assert record["cmdline_received"] == "console=serial0,115200 console=tty1 root=/dev/nfs"
    assert record["cmdline_used"] == "console=ttyAMA0,115200 console=tty1 root=/dev/nfs"
    text = "\n".join(record["changes"])
    for words in ("not a BCM2711", "device tree", "not used", "serial0", "console=ttyAMA0", "a note"):
        assert words in text
    assert json.loads(json.dumps(record)) == record


def test_files_keep_our_names_whatever_the_server_calls_them(tmp_path: Path):
    files = handover.write_files(PAYLOAD, tmp_path)
    assert files.kernel.read_bytes() == b"kernel"
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        *("received", "received/dtb", "received/initramfs", "received/kernel"),
    ]
    again = handover.write_files(replace(PAYLOAD, initramfs=None), tmp_path)
    assert again.initramfs is None
    assert not (tmp_path / "received/initramfs").exists()


def test_arguments(tmp_path: Path):
    files = handover.write_files(PAYLOAD, tmp_path)
    argv = handover.arguments(files, "a b", machine="virt", memory=256, mac=bytes.fromhex("e45f010902f7"))
    text = " ".join(argv)
    for words in (
        *(
            "-machine virt",
            "-cpu cortex-a72",
            "-smp 1",
            "-m 256",
            f"-kernel {files.kernel}",
            f"-initrd {files.initramfs}",
        ),
        *("-append a b", "virtio-net-pci,netdev=wire,mac=e4:5f:01:09:02:f7,romfile=", "-serial stdio", "-no-reboot"),
    ):
        assert words in text


def test_json_is_written_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "x.json"
    handover.write_json(path, {"a": "ä"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "ä"}
    with pytest.raises(OSError, match="No such file"):
        handover.write_json(tmp_path / "gone" / "x.json", {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


def test_no_secret_of_the_command_line_is_written_down():
    line = "console=serial0,115200 iscsi_password=verysecret1 rbdroot=10.77.0.3:pi:AQCkey==:rbd:root"
    payload = replace(PAYLOAD, cmdline=line, cmdline_received=line)
    adapted = handover.adapt(payload)
    assert "verysecret1" in adapted.cmdline  # what the machine is started with
    argv = ["qemu", "-append", adapted.cmdline]
    told = [handover.record(payload, adapted, qemu="", machine="virt", memory=1, argv=argv)]
    told.append(handover.received(payload, "BCM2712"))
    for record in told:
        assert "verysecret1" not in repr(record)
        assert "AQCkey" not in repr(record)
        assert "iscsi_password=***********" in record["cmdline_received"]
