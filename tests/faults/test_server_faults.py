# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that are wrong, broken or gone: the right stage fails, the finding says what to change, all within its time."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.boot.record import BootRecord, Finding
from harness.lab import Lab
from harness.result import Boot
from harness.run.replay import read_record
from harness.servers.services.dnsmasq import Dnsmasq
from tests.faults.conftest import BOARD, SERIAL, lab_config

pytestmark = [pytest.mark.netns, pytest.mark.qemu]


def fault(boot: Boot, verdict: str, identity: str) -> Finding:
    """The finding of a failed boot, after looking at what every failed boot must have."""
    record = boot.record
    assert record.verdict == verdict, (record.reason, [finding.id for finding in record.findings])
    assert read_record(boot.folder / "record.json") == record
    assert (boot.folder / "console.log").exists()
    assert record.capture is not None
    assert record.capture.dropped == 0
    finding = record.findings[0]
    assert finding.id == identity, [found.id for found in record.findings]
    assert finding.remedy
    return finding


def files(lab: Lab) -> Path:
    return lab.rig_of(BOARD).tftp_root / SERIAL


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_missing_start4_elf(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab()
    (files(lab) / "start4.elf").unlink()
    (files(lab) / "start.elf").unlink(missing_ok=True)
    finding = fault(lab.board(BOARD).boot(), "failed(firmware)", "firmware-missing")
    assert "start4.elf" in finding.title
    assert str(files(lab)) in finding.remedy


def test_missing_kernel(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(lab_config(**{"firmware: 20": "firmware: 5"}))
    (files(lab) / "kernel8.img").unlink()
    finding = fault(lab.board(BOARD).boot(), "failed(firmware)", "kernel-missing")
    assert "kernel8.img" in finding.title


def test_truncated_initramfs(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab()
    initramfs = files(lab) / "initramfs8"
    with initramfs.open("r+b") as file:
        file.truncate(initramfs.stat().st_size // 2)
    boot = lab.board(BOARD).boot()
    assert boot.failed_stage in {"kernel", "initramfs"}, "half an initramfs may hold a working /init, or none"
    finding = fault(boot, boot.verdict, "initramfs-broken")
    assert "initramfs" in finding.remedy


def test_a_kernel_that_is_none(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(lab_config(**{"kernel: 40": "kernel: 5"}))
    kernel = files(lab) / "kernel8.img"
    with kernel.open("r+b") as file:  # its header is whole, its code is not
        file.seek(0x10000)
        file.write(b"\xff" * (kernel.stat().st_size - 0x10000))
    boot = lab.board(BOARD).boot()
    fault(boot, "failed(kernel)", "kernel-silent")


def test_wrong_nfs_export(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab()
    edit(files(lab) / "cmdline.txt", f"/srv/nfs/{SERIAL}", "/srv/nfs/nobody")
    finding = fault(lab.board(BOARD).boot(), "failed(root)", "nfs-mount-refused")
    assert "/srv/nfs/nobody" in finding.title
    assert f"/srv/nfs/{SERIAL}" in finding.remedy


def test_nfs_options_that_klibc_does_not_know(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab()
    edit(files(lab) / "cmdline.txt", "vers=3,tcp", "vers=4.1,proto=tcp")
    finding = fault(lab.board(BOARD).boot(), "failed(root)", "nfs-bad-options")
    assert "vers=3,tcp" in finding.remedy


def test_dnsmasq_stopped_in_the_middle_of_a_transfer(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(lab_config(**{"firmware: 20": "firmware: 6"}))
    rig = lab.rig_of(BOARD)
    with (files(lab) / "start4.elf").open("ab") as file:
        file.truncate(200_000_000)  # long enough to be in the middle of
    board = lab.board(BOARD)
    stopped = threading.Event()

    class Stopper:
        """Stops the server when the file is on its way."""

        def __getattr__(self, name: str) -> Callable[..., None]:
            def told(*arguments: object) -> None:
                if name == "progress" and "start4.elf" in str(arguments) and not stopped.is_set():
                    stopped.set()
                    rig.services["dnsmasq"].stop()

            return told

    board.viewer = Stopper()  # type: ignore[assignment]
    finding = fault(board.boot(), "failed(firmware)", "tftp-broken-off")
    assert stopped.is_set()
    assert "start4.elf" in finding.title


def test_dnsmasq_not_started(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab()
    lab.rig_of(BOARD).services["dnsmasq"].stop()
    finding = fault(lab.board(BOARD).boot(), "failed(dhcp)", "dhcp-no-answer")
    assert "DHCP server runs" in finding.remedy


def test_no_option_43_or_66(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab()
    dnsmasq = lab.rig_of(BOARD).services["dnsmasq"]
    assert isinstance(dnsmasq, Dnsmasq)
    dnsmasq.options = replace(dnsmasq.options, boot_option_43=False)
    dnsmasq.restart()
    finding = fault(lab.board(BOARD).boot(), "failed(dhcp)", "dhcp-offer-unusable")
    assert "neither option 66 nor option 43" in finding.title
    assert "pxe-service" in finding.remedy


def test_two_dhcp_servers(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab()
    rig = lab.rig_of(BOARD)
    rig.add_host("rogue", "10.77.0.9/24")
    rig.add_service(
        Dnsmasq(rig.keeper, "rogue", rig.logs, address="10.77.0.9/24", tftp_root=rig.tftp_root, name="rogue")
    )
    record: BootRecord = lab.board(BOARD).boot().record
    finding = next(found for found in record.findings if found.id == "dhcp-strange-server")
    assert "10.77.0.9" in finding.title
    assert any("10.77.0.9" in exchange.servers_seen for exchange in record.dhcp)
