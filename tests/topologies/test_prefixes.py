# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a board's files come from: its TFTP_PREFIX, its TFTP_IP, the TFTP root; on every topology."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import loads
from harness.lab import Lab
from harness.result import Boot
from harness.run import Run
from harness.servers import Rig, VirtualBoard
from harness.servers.topologies import TOPOLOGIES
from tests.stand_ins import small_boot_files
from tests.topologies.conftest import OpenLab
from tests.topologies.labs import NFS, Pi, lab_text, skip_without

pytestmark = pytest.mark.netns

BOARDS = (
    Pi("serial", "pi4", 1),
    Pi("mac", "pi5", 2, {"eeprom": "{TFTP_PREFIX: 2}"}),
    Pi("string", "cm4", 3, {"eeprom": '{TFTP_PREFIX: 1, TFTP_PREFIX_STR: "lab/shelf-2/"}'}),
    Pi("root", "pi4", 4, {"emulation": "{boot_files: root}"}),
)
ANY = VirtualBoard("any", "pi4", "5c030001", "dc:a6:32:03:00:01")
DAILY = "router-option-66"
#: Without any word of a TFTP server in the offer.
SILENT = {
    "dnsmasq": {"boot_option_43": False, "menu": "not for a Pi", "option_66": "", "extra": ()},
    "kea": {"menu": "", "option_66": ""},
    "dhcpd": {"option_43": "", "option_66": ""},
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[] if name == DAILY else [pytest.mark.slow]) for name in TOPOLOGIES],
)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that stays up for all tests that break nothing."""
    skip_without(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    run = Run.create(folder, lab="prefixes")
    with Lab(loads(lab_text(request.param, *BOARDS)), run) as opened:
        with small_boot_files(folder / "boot"):
            opened.rig_of("serial")
        yield opened


def booted(lab: Lab, name: str) -> Boot:
    try:
        return lab.board(name).boot(until="firmware")
    finally:
        lab.board(name).off()


@pytest.mark.parametrize("pi", BOARDS, ids=lambda pi: pi.name)
def test_the_files_come_from_the_boards_own_folder(lab: Lab, pi: Pi) -> None:
    folder = {"serial": f"{pi.serial}/", "mac": f"{pi.mac.replace(':', '-')}/", "string": "lab/shelf-2/", "root": ""}
    boot = booted(lab, pi.name)
    assert boot.verdict == "passed", (boot.record.reason, [finding.title for finding in boot.findings])
    assert boot.record.findings == ()
    assert lab.server_of(pi.name).expected.prefix == folder[pi.name]
    delivered = [one for one in boot.tftp.complete if one.kind == "get"]
    kernel = next(one for one in delivered if one.path.endswith("kernel8.img"))
    assert kernel.path == f"{folder[pi.name]}kernel8.img"
    assert {one.server_ip for one in delivered} == {lab.server_of(pi.name).expected.tftp}
    assert all(one.path.startswith(folder[pi.name]) for one in delivered)


@pytest.mark.parametrize(
    "topology", [pytest.param(name, marks=[] if name == "openwrt-43-66" else [pytest.mark.slow]) for name in TOPOLOGIES]
)
def test_tftp_ip_needs_no_option_of_the_offer(open_lab: OpenLab, tmp_path: Path, topology: str) -> None:
    server = TOPOLOGIES[topology]().facts(ANY).tftp_server
    lab = open_lab(topology, Pi("told", "pi4", 1, {"eeprom": f"{{TFTP_IP: {server}}}"}))
    with small_boot_files(tmp_path / "boot"):
        silence(lab.rig_of("told"))
    boot = booted(lab, "told")
    assert boot.verdict == "passed", (boot.record.reason, [finding.title for finding in boot.findings])
    assert boot.record.findings == ()
    (firmware,) = [one for one in boot.record.dhcp if one.client == "firmware"]
    assert firmware.result == "ack"
    assert firmware.tftp_server is None, "an offer names a TFTP server all the same"
    assert {one.server_ip for one in boot.tftp.complete} == {server}


@pytest.mark.qemu
@pytest.mark.parametrize(
    "topology", [pytest.param(name, marks=[] if name == DAILY else [pytest.mark.slow]) for name in NFS]
)
def test_two_boards_of_different_models_at_once(open_lab: OpenLab, topology: str) -> None:
    names = ("pi5", "pi4")
    lab = open_lab(topology, *(Pi(name, name, number) for number, name in enumerate(names)))
    boards = [lab.board(name) for name in names]
    with ThreadPoolExecutor(2) as pool:
        boots = list(pool.map(lambda board: board.boot(), boards))
    for boot, board in zip(boots, boards, strict=True):
        assert boot.verdict == "passed", boot.record.reason
        assert boot.record.root is not None
        assert boot.record.root.source == lab.server_of(board.name).expected.root_device
        board.off()


def silence(rig: Rig) -> None:
    """Every DHCP server of the rig says nothing of TFTP any more."""
    found = [service for name, service in rig.services.items() if name in SILENT]
    assert found
    for service in found:
        service.options = replace(service.options, **SILENT[service.name])  # type: ignore[attr-defined]
        service.restart()
