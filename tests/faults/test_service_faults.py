# SPDX-License-Identifier: GPL-2.0-or-later
"""Services that fail, or fail and come back, in the middle of a boot or after the login."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from harness.boot.record import Finding
from harness.lab import Lab
from harness.result import Boot
from harness.servers.services.dnsmasq import Dnsmasq
from harness.servers.services.nfs import Export, Nfs
from tests.faults.conftest import BOARD, SERIAL, lab_config

pytestmark = [pytest.mark.netns, pytest.mark.qemu]

OpenLab = Callable[..., Lab]
EXPORT = f"/srv/nfs/{SERIAL}"


def when(lab: Lab, stage: str, act: Callable[[], object]) -> threading.Event:
    """Have `act` done when `stage` of the next boot has ended; the event tells that it was."""
    done = threading.Event()

    class Meddler:
        def __getattr__(self, name: str) -> Callable[..., None]:
            def told(*arguments: object) -> None:
                if name == "stage_ended" and stage in arguments and not done.is_set():
                    act()
                    done.set()

            return told

    lab.board(BOARD).viewer = Meddler()  # type: ignore[assignment]
    return done


def dnsmasq_of(lab: Lab) -> Dnsmasq:
    service = lab.rig_of(BOARD).services["dnsmasq"]
    assert isinstance(service, Dnsmasq)
    return service


def nfs_of(lab: Lab) -> Nfs:
    service = lab.rig_of(BOARD).services["ganesha"]
    assert isinstance(service, Nfs)
    return service


def fault(boot: Boot, verdict: str, identity: str) -> Finding:
    assert boot.verdict == verdict, (boot.record.reason, [found.id for found in boot.record.findings])
    finding = boot.record.findings[0]
    assert finding.id == identity, [found.id for found in boot.record.findings]
    return finding


# In the middle of a boot ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["power", "dhcp", "firmware", "kernel"])
def test_dnsmasq_restarted_between_stages_costs_a_file_or_less(open_lab: OpenLab, stage: str) -> None:
    """A file that was on its way is given up after 30 s (TFTP_FILE_TIMEOUT), and the boot order begins anew."""
    lab = open_lab(lab_config(**{"firmware: 20": "firmware: 90"}))
    dnsmasq = dnsmasq_of(lab)
    first = dnsmasq.process
    done = when(lab, stage, dnsmasq.restart)
    boot = lab.board(BOARD).boot()
    assert done.is_set()
    assert dnsmasq.process is not first
    assert boot.verdict == "passed", boot.record.reason
    assert "DHCP recv ACK" in boot.console.text, "the bootloader's lease"
    assert "IP-Config: eth0" in boot.console.text, "the initramfs', of the new server or the old one"
    assert boot.milestone("login.prompt") is not None


def test_an_nfs_server_that_comes_late_is_waited_for(open_lab: OpenLab) -> None:
    lab = open_lab(lab_config(**{"root: 20": "root: 60"}))
    nfs = nfs_of(lab)
    said = b"Retrying nfs mount ... NFS over TCP not available from 10.77.0.1"
    log = lab.run.folder / BOARD / "console.log"
    over = threading.Event()

    def come() -> None:
        """When the board has asked in vain."""
        while not over.wait(0.1):
            if log.exists() and said in log.read_bytes():
                nfs.start()
                return

    late = threading.Thread(target=come)
    late.start()
    try:
        done = when(lab, "dhcp", nfs.stop)
        boot = lab.board(BOARD).boot()
    finally:
        over.set()
        late.join()
    assert done.is_set()
    assert boot.verdict == "passed", boot.record.reason
    assert said.decode() in boot.console.text


@pytest.mark.slow
def test_no_address_is_left(open_lab: OpenLab) -> None:
    lab = open_lab()
    dnsmasq = dnsmasq_of(lab)
    dnsmasq.stop()
    dnsmasq.leases.write_text(f"{int(time.time()) + 3600} 02:00:00:00:00:07 10.77.0.100 another *\n")
    dnsmasq.options = replace(dnsmasq.options, addresses=1)
    dnsmasq.start()
    boot = lab.board(BOARD).boot()
    finding = fault(boot, "failed(dhcp)", "dhcp-no-answer")
    assert "GENET START" in boot.console.text
    assert "DHCP recv" not in boot.console.text
    assert "no address available" in finding.remedy
    assert "no address available" in dnsmasq.new_log(), "so dnsmasq says it"


@pytest.mark.slow
def test_all_of_the_tftp_servers_places_are_taken(open_lab: OpenLab) -> None:
    lab = open_lab(lab_config(**{"firmware: 20": "firmware: 5"}))
    rig, dnsmasq = lab.rig_of(BOARD), dnsmasq_of(lab)
    dnsmasq.options = replace(dnsmasq.options, extra=(*dnsmasq.options.extra, "tftp-max=1"))
    dnsmasq.restart()
    rig.add_host("other", "10.77.0.9/24")
    with ExitStack() as stack:
        for _ in range(2):  # dnsmasq listens on while there are no more than tftp-max
            client = stack.enter_context(rig.keeper.socket("other", socket.AF_INET, socket.SOCK_DGRAM))
            client.settimeout(20)
            client.sendto(f"\0\1{SERIAL}/kernel8.img\0octet\0".encode(), ("10.77.0.1", 69))
            assert client.recv(2048)[:4] == b"\0\3\0\1", "and is never acknowledged"
        boot = lab.board(BOARD).boot()
    finding = fault(boot, "failed(firmware)", "tftp-no-answer")
    assert "tftp-max" in finding.remedy
    assert f"10.77.0.1 {SERIAL}/start4.elf" in boot.console.text
    assert "TFTP: complete" not in boot.console.text


def test_a_tftp_root_that_the_server_may_not_read(open_lab: OpenLab) -> None:
    lab = open_lab(lab_config(**{"firmware: 20": "firmware: 6"}))
    folder = lab.rig_of(BOARD).tftp_root / SERIAL
    for name in ("start4.elf", "start.elf"):
        if (folder / name).exists():
            (folder / name).chmod(0o600)  # dnsmasq as root hands out only what everybody may read
    boot = lab.board(BOARD).boot()
    finding = fault(boot, "failed(firmware)", "firmware-missing")
    assert "refused the firmware" in finding.title
    assert f"{SERIAL}/start4.elf: Permission denied" in boot.console.text
    assert "Firmware not found" in boot.console.text
    assert "make it readable" in finding.remedy


def test_an_export_without_space(open_lab: OpenLab) -> None:
    lab = open_lab()
    rig, nfs = lab.rig_of(BOARD), nfs_of(lab)
    lower = str(rig.roots.overlays.lower)  # type: ignore[union-attr]

    def swap() -> None:
        """The board's root becomes a small file system, full to its end."""
        nfs.withdraw(EXPORT)
        rig.keeper.unmount(EXPORT, lazy=True)
        rig.keeper.mount("tmpfs", EXPORT, "tmpfs", "size=200m")
        fill = 'cp -a "$1/." "$2/" && chmod 755 "$2"; dd if=/dev/zero of="$2/ballast" bs=4k 2>/dev/null; true'
        rig.spawn("server", ["sh", "-c", fill, "sh", lower, EXPORT]).wait(60)
        nfs.add(Export(EXPORT, EXPORT))

    done = when(lab, "dhcp", swap)
    board = lab.board(BOARD)
    boot = board.boot()
    assert done.is_set()
    assert boot.verdict == "passed", "this small system writes nothing"
    result = board.shell.run("dd if=/dev/zero of=/root/file bs=64k count=16 conv=fsync")
    assert result.status != 0
    assert "No space left on device" in result.output


# After the login --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("away", [4.0, pytest.param(20.0, marks=pytest.mark.slow)])
def test_a_board_goes_on_when_its_nfs_server_has_been_away(open_lab: OpenLab, away: float) -> None:
    lab = open_lab()
    nfs, board = nfs_of(lab), lab.board(BOARD)
    assert board.boot().verdict == "passed"
    nfs.stop()
    back = threading.Timer(away, nfs.start)
    began = time.monotonic()
    back.start()
    try:
        written = board.shell.run("echo words > /root/file && sync && cat /root/file", timeout=120)
    finally:
        back.join()
    assert written == ("words", 0)
    assert time.monotonic() - began >= away, "there was nobody to write to before"
    upper: Path = lab.rig_of(BOARD).roots.overlays.upper(SERIAL)  # type: ignore[union-attr]
    assert (upper / "root/file").read_text() == "words\n"


@pytest.mark.slow
def test_dnsmasq_that_dies_after_the_login_is_nothing_to_the_board(open_lab: OpenLab) -> None:
    lab = open_lab()
    board = lab.board(BOARD)
    assert board.boot().verdict == "passed"
    dnsmasq_of(lab).stop()
    assert board.shell.run("cat /etc/hostname >/dev/null && echo still here") == ("still here", 0)
