# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards with a boot ROM on a real wire: dnsmasq serves them as the rig sets it up for them; QEMU starts what they got."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import loads
from harness.lab import Lab
from harness.power.virtual import VirtualPort
from harness.run import Run
from harness.servers import Dnsmasq, Rig, VirtualBoard
from tests import emulated
from tests.emulator import rom
from tests.servers.conftest import needs

pytestmark = [
    pytest.mark.netns,
    pytest.mark.qemu,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces with a tap"),
    needs("dnsmasq-nfs"),
]


def board(name: str, model: str, number: int, **otp: object) -> VirtualBoard:
    return VirtualBoard(name, model, f"0007bcc{number}", f"b8:27:eb:07:bc:c{number}", speed=200, otp=otp)


BOARDS = [
    board("pi2b", "pi2b", 1),
    board("pi3b", "pi3b", 2),
    board("pi3bplus", "pi3bplus", 3),
    board("card", "pi3b", 4, sd_card="bootcode", net_boot=False),
    board("unfused", "pi3b", 5, net_boot=False),
]
#: A raw arm64 kernel: branch to itself.
STILL = (0x14000000).to_bytes(4, "little")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(BOARDS, tmp_path_factory.mktemp("roms"), boot_set=None) as made:
        for one in BOARDS:
            files = rom.tree(one.model, f"{one.serial_number}/", kernel8_img=STILL)
            for path, data in files.items():
                (made.tftp_root / path).parent.mkdir(parents=True, exist_ok=True)
                (made.tftp_root / path).write_bytes(data)
        yield made


def dnsmasq(rig: Rig) -> Dnsmasq:
    service = rig.services["dnsmasq"]
    assert isinstance(service, Dnsmasq)
    return service


def until(done: Callable[[], object], what: str, seen: Callable[[], object], timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline, f"{what} did not come within {timeout} s; seen: {seen()}"
        time.sleep(0.01)


def powered(rig: Rig, name: str) -> VirtualPort:
    """The board's power port, switched on, in a new folder."""
    if rig.emulator(name) is None:
        rig.start_emulator(name)
    folder = rig.folder / name / f"boot-{time.monotonic_ns()}"
    folder.mkdir(parents=True)
    port = VirtualPort(rig.board(name).control_socket, folder=folder, board=name)
    port.on()
    return port


@pytest.mark.parametrize("name", ["pi2b", "pi3b", "pi3bplus", "card"])
def test_boots_up_to_the_kernel(rig: Rig, name: str):
    one = rig.boards[name]
    asked = len(dnsmasq(rig).new_log())
    port = powered(rig, name)
    until(lambda: port.status()["phase"] in ("qemu", "halted"), "hand-over", port.status)
    log = dnsmasq(rig).new_log()[asked:]
    assert port.status()["phase"] == "qemu", log
    assert port.folder is not None
    until((port.folder / "handover.json").exists, "handover.json", port.status)
    handover = json.loads((port.folder / "handover.json").read_text())
    port.off()
    assert handover["cpu"] == "cortex-a53"
    assert handover["dtb"]["ok"]
    assert handover["dtb"]["path"] == f"{one.serial_number}/{rom.MODELS[one.model].dtb}"
    assert handover["kernel"]["bytes"] == len(STILL)
    # The ROM's DISCOVER and that of bootcode.bin; dnsmasq prints the constant xid.
    assert log.count("653460281 DHCPDISCOVER(eth0) " + one.mac) == (1 if name == "card" else 2)
    assert "DHCPREQUEST" not in log
    assert ("bootsig.bin not found" in log) == (name != "card")
    assert f"{one.serial_number}/kernel8.img" in log


def test_rig_sets_dnsmasq_up_for_its_boards(rig: Rig):
    text = dnsmasq(rig).config.read_text()
    assert 'pxe-service=0,"Raspberry Pi Boot   "\n' in text
    assert "dhcp-reply-delay=tag:late,1\n" in text
    late = [line.rpartition(",")[2] for line in text.splitlines() if line.startswith("dhcp-mac=set:late,")]
    assert late == [one.mac for one in BOARDS if one.model != "pi3bplus"]


def test_board_without_fuses_is_silent(rig: Rig):
    asked = len(dnsmasq(rig).new_log())
    port = powered(rig, "unfused")
    until(lambda: port.status()["phase"] == "halted", "silence", port.status)
    assert rig.boards["unfused"].mac not in dnsmasq(rig).new_log()[asked:]
    port.off()


@pytest.fixture
def at_once(rig: Rig) -> Iterator[Rig]:
    """dnsmasq answers everybody at once."""
    service = dnsmasq(rig)
    before = service.options
    service.options = replace(before, delayed=())
    service.restart()
    yield rig
    service.options = before
    service.restart()


def test_3b_does_not_hear_an_answer_that_comes_at_once(at_once: Rig):
    service = dnsmasq(at_once)
    port = powered(at_once, "pi3b")
    mac = at_once.boards["pi3b"].mac
    # The second try comes five seconds after the first, which was answered.
    until(lambda: service.new_log().count(f"DHCPDISCOVER(eth0) {mac}") >= 2, "a second try", service.new_log)
    assert "bootcode.bin" not in service.new_log()
    assert "DHCPOFFER(eth0) 10.77.0." in service.new_log()
    port.off()


LAB = emulated.lab(
    "roms",
    emulated.board("pi3bplus-a", "pi3bplus", "8b07bcc6", "b8:27:eb:07:bc:c6"),
    emulation="speed: 100",
)


def test_what_lab_yaml_says_of_a_rom_reaches_the_board(tmp_path: Path):
    run = Run.create(tmp_path / "reports", lab="roms")
    text = LAB.replace("pi3bplus", "pi3b") + (
        "    otp: {net_boot: false, usb_boot_timeout: true}\n    sd_card: bootcode\n    emulation: {strict: false}\n"
    )
    with Lab(loads(text), run) as lab:
        lab.board("pi3b-a")
        config = json.loads((run.folder / "pi3b-a" / "emulator.json").read_text())
    otp = {"net_boot": False, "usb_boot_timeout": True, "strict": False, "sd_card": "bootcode"}
    assert config["boards"][0]["otp"] == otp


def test_3bplus_boots_to_login(tmp_path: Path):
    run = Run.create(tmp_path / "reports", lab="roms")
    with Lab(loads(LAB), run) as lab:
        boot = lab.board("pi3bplus-a").boot()
    assert boot.verdict == "passed", boot.record.reason
    assert boot.console.text.startswith("Raspberry Pi Bootcode")
    assert "USB ethernet boot" in boot.console.text
    assert boot.tftp["bootcode.bin"].size > 50_000
    assert boot.tftp["8b07bcc6/kernel8.img"].size > 1_000_000
    assert boot.tftp["8b07bcc6/bcm2710-rpi-3-b-plus.dtb"].size > 10_000
