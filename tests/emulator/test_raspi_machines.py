# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own Pi as the virtual machine: its device tree, its arguments, which models it can be, and a boot in it."""

import json
import os
import struct
from pathlib import Path

import pytest

from harness.config import loads
from harness.emulator import fdt, qemu_program, raspi, settings
from harness.errors import ConfigError, HarnessError, InfraError
from harness.lab import Lab
from harness.run import Run
from tests import emulated
from tests.servers.conftest import needs

MAC = bytes.fromhex("b827eb07bcc6")


def node(name: str, *inside: bytes) -> bytes:
    text = name.encode() + b"\0"
    return struct.pack(">I", 1) + text + bytes(-len(text) % 4) + b"".join(inside) + struct.pack(">I", 2)


NAMES = ["compatible", "dr_mode", "q"]
STRINGS = "".join(f"{name}\0" for name in NAMES).encode()


def prop(value: bytes, name: str = "compatible") -> bytes:
    return struct.pack(">III", 3, len(value), STRINGS.index(name.encode())) + value + bytes(-len(value) % 4)


def tree(*inside: bytes) -> bytes:
    """Header, an empty memory reservation map and structure of a flattened device tree."""
    structure = node("", *inside) + struct.pack(">I", 9)
    names = 56 + len(structure)
    sizes = (len(STRINGS), len(structure))
    head = struct.pack(">10I", 0xD00DFEED, names + len(STRINGS), 56, names, 40, 17, 16, 0, *sizes)
    return head + bytes(16) + structure + STRINGS


BLUETOOTH = node("bluetooth", prop(b"brcm,bcm43438-bt\0"), node("inner"))


def on(dtb: bytes) -> set[str]:
    return {path for path, found in fdt.read(dtb).root.walk() if found.on and "compatible" in found.properties}


def test_the_pl011_loses_its_bluetooth_and_nothing_else():
    uarts = [node(name, prop(b"arm,pl011\0"), BLUETOOTH) for name in ("serial@7e215040", "serial@7e201000")]
    dtb = tree(*uarts, node("usb", prop(b"brcm,bcm2835-usb\0"), prop(b"host\0", "dr_mode")))
    edited, (change,) = raspi.adapt_tree(dtb, "raspi3b")
    gone = {f"/serial@{at}/bluetooth" for at in ("7e201000", "7e215040")}
    assert on(dtb) - on(edited) == gone
    assert on(edited) < on(dtb)
    assert "/serial@7e201000/bluetooth" in change
    assert "disable-bt" in change
    assert raspi.adapt_tree(edited, "raspi3b") == (edited, ())


def test_a_4b_loses_what_qemu_lacks_and_its_usb_port_is_a_host():
    lost = ("brcm,bcm2711-genet-v5", "brcm,bcm2711-pcie", "brcm,bcm2711-l2-intc")
    nodes = [node(f"n@{number}", prop(name.encode() + b"\0other\0")) for number, name in enumerate(lost)]
    usb = node("usb@7e980000", prop(b"brcm,bcm2835-usb\0"), prop(b"otg\0", "dr_mode"))
    edited, changes = raspi.adapt_tree(tree(*nodes, usb, node("kept", prop(b"arm,pl011\0"))), "raspi4b")
    assert on(edited) == {"/usb@7e980000", "/kept"}
    found = fdt.read(edited).find("/usb@7e980000")
    assert found is not None
    assert found.strings("dr_mode") == ("host",)
    assert any("/n@0, /n@1, /n@2" in change for change in changes)
    assert any("dr_mode = host, not otg" in change for change in changes)


def test_a_tree_is_written_as_it_was_read():
    before = fdt.read(tree(BLUETOOTH, node("empty"), node("usb", prop(b""), prop(b"abc", "q"))))
    assert fdt.read(before.write()) == before
    assert before.find("/usb") is not None
    assert before.find("/usb/x") is None


def test_no_device_tree_raises():
    dtb = tree(node("serial@7e201000", BLUETOOTH))
    for length in range(len(dtb)):
        raspi.adapt_tree(dtb[:length], "raspi4b")
        broken = bytearray(dtb)
        broken[length] ^= 0xFF
        raspi.adapt_tree(bytes(broken), "raspi4b")
    assert raspi.adapt_tree(b"text", "raspi4b") == (b"text", ())


@pytest.mark.parametrize(("machine", "soc", "memory"), [("raspi3b", "bcm2837", 1024), ("raspi4b", "bcm2838", 2048)])
def test_arguments_and_command_line(machine: str, soc: str, memory: int):
    argv = raspi.arguments(Path("/k"), None, Path("/d"), "a", machine=machine, mac=MAC)
    text = " ".join(argv)
    assert text.startswith(f"-machine {machine} -m {memory} ")
    assert f"-global {soc}.enabled-cpus=1" in text
    assert "-dtb /d" in text
    assert "-initrd" not in text
    assert "-usb -device usb-net,netdev=wire,mac=b8:27:eb:07:bc:c6" in text
    assert "-initrd /i" in " ".join(raspi.arguments(Path("/k"), Path("/i"), Path("/d"), "", machine=machine, mac=MAC))
    used, (change,) = raspi.cmdline("root=/dev/nfs")
    assert used == "root=/dev/nfs maxcpus=1"
    assert "maxcpus=1" in change


@pytest.mark.parametrize(
    ("version", "kept"),
    [
        *[(fixed, True) for fixed in ("7.2.21", "7.2.22", "10.0.5", "10.1.1", "10.2.0", "11.0.0")],
        *[(old, False) for old in ("7.2.20", "8.2.1", "9.2.4", "10.0.2", "10.1.0")],
    ],
)
def test_older_qemu_changes_the_mac(version: str, kept: bool):
    used, notes = raspi.usb_mac(MAC, f"QEMU emulator version {version} (Debian)")
    assert (used == MAC) is kept
    assert bool(notes) is not kept
    assert kept or ("40:27:eb:07:bc:c6" in notes[0] and used.hex(":") == "40:27:eb:07:bc:c6")
    assert raspi.usb_mac(MAC, "") == (MAC, ())


def qemu_of(folder: Path, version: str) -> Path:
    """Something that says it is a QEMU of that version."""
    program = folder / qemu_program.PROGRAM
    folder.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\necho 'QEMU emulator version {version} (Debian)'\n")
    program.chmod(0o755)
    return program


def test_a_machine_finds_the_qemu_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", f"{tmp_path / 'old'}:{os.environ['PATH']}")
    monkeypatch.setattr(qemu_program, "BESIDE", tmp_path / "new" / qemu_program.PROGRAM)
    old = qemu_of(tmp_path / "old", "7.2.22")
    assert qemu_program.find("virt").path == str(old)
    with pytest.raises(ConfigError, match=r"raspi4b needs QEMU 9\.0 or newer; here it is 7\.2\.22") as caught:
        qemu_program.find("raspi4b")
    assert "script/newer-qemu" in caught.value.remedy
    with pytest.raises(ConfigError) as caught:
        qemu_program.too_old("raspi4b", "lab.yaml: boards.pi")
    assert caught.value.place == "lab.yaml: boards.pi"
    new = qemu_of(tmp_path / "new", "10.0.2")
    assert qemu_program.find("raspi4b").path == str(new)
    assert qemu_program.find("raspi4b").number == (10, 0, 2)
    assert qemu_program.find("raspi3b").path == str(old)
    qemu_program.too_old("raspi4b", "")


def test_without_any_qemu_power_on_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(qemu_program, "BESIDE", tmp_path / "none")
    qemu_program.too_old("raspi4b", "")
    with pytest.raises(InfraError, match="is missing"):
        qemu_program.find("raspi4b")


LAB = emulated.lab(
    "raspi",
    emulated.board("pi", "pi3bplus", "8b07bcc6", "b8:27:eb:07:bc:c6", emulation="{machine: raspi3b}"),
    emulation="speed: 100",
)


@pytest.mark.parametrize(
    ("machine", "model", "fits"),
    [("raspi3b", "pi2b", "pi3b or pi3bplus"), ("raspi3b", "pi4", "pi3b or pi3bplus"), ("raspi4b", "pi3b", "pi4")],
)
def test_the_machine_must_be_the_model(machine: str, model: str, fits: str):
    with pytest.raises(ConfigError, match=rf"{machine} is a {fits}, not a {model}") as caught:
        loads(LAB.replace("pi3bplus", model).replace("raspi3b", machine))
    assert caught.value.place


def test_the_emulator_takes_no_other_model():
    entry = {"name": "a", "serial_number": "8b07bcc6", "mac": "b8:27:eb:07:bc:c6", "tap": "tap-0", "machine": "raspi3b"}
    entry |= {key: f"/run/{key}" for key in ("control", "status", "artefacts", "log")}
    assert settings.board(entry | {"model": "pi3b"}).machine == "raspi3b"
    assert settings.board(entry | {"model": "pi4", "machine": "raspi4b"}).machine == "raspi4b"
    with pytest.raises(ConfigError, match="machine: raspi3b is a pi3b or pi3bplus, not a pi2b"):
        settings.board(entry | {"model": "pi2b"})


def has(machine: str) -> bool:
    try:
        qemu_program.find(machine)
    except HarnessError:
        return False
    return True


@pytest.mark.netns
@pytest.mark.qemu
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces with a tap")
@needs("dnsmasq-nfs")
@pytest.mark.parametrize(
    ("model", "machine", "says", "memory"),
    [
        ("pi3b", "raspi3b", "Raspberry Pi 3 Model B", 1024),
        ("pi3bplus", "raspi3b", "Raspberry Pi 3 Model B+", 1024),
        pytest.param(
            "pi4",
            "raspi4b",
            "Raspberry Pi 4 Model B",
            2048,
            marks=pytest.mark.skipif(not has("raspi4b"), reason="needs QEMU 9.0 or newer: sudo script/newer-qemu"),
        ),
    ],
)
def test_boots_to_login_with_the_delivered_device_tree(
    tmp_path: Path, model: str, machine: str, says: str, memory: int
):
    run = Run.create(tmp_path / "reports", lab="raspi")
    with Lab(loads(LAB.replace("pi3bplus", model).replace("raspi3b", machine)), run) as lab:
        boot = lab.board("pi").boot()
    assert boot.verdict == "passed", boot.record.reason
    assert f"Machine model: {says}\r\n" in boot.console.text
    assert boot.record.root is not None
    assert boot.record.root.status == 0
    assert [exchange.client for exchange in boot.dhcp][-1] == "os"
    (path,) = run.folder.rglob("handover.json")
    handover = json.loads(path.read_text())
    assert handover["machine"] == machine
    assert handover["memory_mb"] == memory
    assert handover["dtb"]["used"] is True
    assert any("bluetooth" in change for change in handover["changes"])
    (used,) = run.folder.rglob("dtb.used")
    assert says in fdt.read(used.read_bytes()).root.strings("model")
