# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own Pi as the virtual machine: its device tree, its arguments, which models it can be, and a boot in it."""

import json
import os
import struct
from pathlib import Path

import pytest

from harness.config import loads
from harness.emulator import raspi, settings
from harness.errors import ConfigError
from harness.lab import Lab
from harness.run import Run
from tests.servers.conftest import needs

MAC = bytes.fromhex("b827eb07bcc6")


def node(name: str, *inside: bytes) -> bytes:
    text = name.encode() + b"\0"
    return struct.pack(">I", 1) + text + bytes(-len(text) % 4) + b"".join(inside) + struct.pack(">I", 2)


def prop(value: bytes) -> bytes:
    return struct.pack(">III", 3, len(value), 0) + value + bytes(-len(value) % 4)


def tree(*inside: bytes) -> bytes:
    """Header and structure of a flattened device tree; its one property name is "p"."""
    structure = node("", *inside) + struct.pack(">I", 9)
    size = 40 + len(structure)
    return struct.pack(">10I", 0xD00DFEED, size + 2, 40, size, 40, 17, 16, 0, 2, len(structure)) + structure + b"p\0"


BLUETOOTH = node("bluetooth", prop(b"brcm,bcm43438-bt\0"), node("inner"))


def test_the_pl011_loses_its_bluetooth_and_nothing_else():
    uart = [prop(b"okay\0"), BLUETOOTH]
    dtb = tree(node("serial@7e215040", BLUETOOTH), node("serial@7e201000", *uart), node("usb", prop(b"host\0")))
    edited, changes = raspi.without_bluetooth(dtb)
    gone = struct.pack(">I", 4) * (len(BLUETOOTH) // 4)
    at = dtb.rindex(BLUETOOTH)
    assert edited == dtb[:at] + gone + dtb[at + len(gone) :]
    (change,) = changes
    assert "serial@7e201000/bluetooth" in change
    assert raspi.without_bluetooth(edited) == (edited, ())


def test_no_device_tree_raises():
    dtb = tree(node("serial@7e201000", BLUETOOTH))
    for length in range(len(dtb)):
        raspi.without_bluetooth(dtb[:length])
        broken = bytearray(dtb)
        broken[length] ^= 0xFF
        raspi.without_bluetooth(bytes(broken))
    assert raspi.without_bluetooth(b"text") == (b"text", ())


def test_arguments_and_command_line():
    argv = raspi.arguments(Path("/k"), None, Path("/d"), "a", machine="raspi3b", mac=MAC)
    text = " ".join(argv)
    assert text.startswith("-machine raspi3b -m 1024 ")
    assert "-global bcm2837.enabled-cpus=1" in text
    assert "-dtb /d" in text
    assert "-initrd" not in text
    assert "-usb -device usb-net,netdev=wire,mac=b8:27:eb:07:bc:c6" in text
    assert "-initrd /i" in " ".join(raspi.arguments(Path("/k"), Path("/i"), Path("/d"), "", machine="raspi3b", mac=MAC))
    used, (change,) = raspi.cmdline("root=/dev/nfs")
    assert used == "root=/dev/nfs maxcpus=1"
    assert "maxcpus=1" in change


def test_newer_qemu_changes_the_mac():
    assert raspi.mac_note(MAC, "QEMU emulator version 7.2.22 (Debian)") == ()
    (note,) = raspi.mac_note(MAC, "QEMU emulator version 10.0.2 (Debian)")
    assert "40:27:eb:07:bc:c6" in note


LAB = """
version: 1
name: raspi
emulation: {speed: 100}
wires: {bench: {kind: emulated}}
servers: {netboot: {kind: emulated, root: light}}
boards:
  pi:
    model: pi3bplus
    serial_number: "8b07bcc6"
    mac: "b8:27:eb:07:bc:c6"
    wire: bench
    server: netboot
    power: {driver: emulated}
    console: {driver: emulated}
    login: {user: root}
    emulation: {machine: raspi3b}
"""


@pytest.mark.parametrize("model", ["pi2b", "pi4"])
def test_the_machine_must_be_the_model(model: str):
    with pytest.raises(ConfigError, match=rf"raspi3b is a pi3b or pi3bplus, not a {model}") as caught:
        loads(LAB.replace("pi3bplus", model))
    assert caught.value.place


def test_the_emulator_takes_no_other_model():
    entry = {"name": "a", "serial_number": "8b07bcc6", "mac": "b8:27:eb:07:bc:c6", "tap": "tap-0", "machine": "raspi3b"}
    entry |= {key: f"/run/{key}" for key in ("control", "status", "artefacts", "log")}
    assert settings.board(entry | {"model": "pi3b"}).machine == "raspi3b"
    with pytest.raises(ConfigError, match="machine: raspi3b is a pi3b or pi3bplus, not a pi2b"):
        settings.board(entry | {"model": "pi2b"})


@pytest.mark.netns
@pytest.mark.qemu
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces with a tap")
@needs("dnsmasq-nfs")
def test_3bplus_boots_to_login_with_the_delivered_device_tree(tmp_path: Path):
    run = Run.create(tmp_path / "reports", lab="raspi")
    with Lab(loads(LAB), run) as lab:
        boot = lab.board("pi").boot()
    assert boot.verdict == "passed", boot.record.reason
    assert "Machine model: Raspberry Pi 3 Model B+" in boot.console.text
    (path,) = run.folder.rglob("handover.json")
    handover = json.loads(path.read_text())
    assert handover["machine"] == "raspi3b"
    assert handover["memory_mb"] == 1024
    assert handover["dtb"]["used"] is True
    assert any("bluetooth" in change for change in handover["changes"])
