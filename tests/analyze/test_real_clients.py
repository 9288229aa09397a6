# SPDX-License-Identifier: GPL-2.0-or-later
"""Real boot loaders that are no Pi's, netbooting in QEMU from QEMU's own DHCP and TFTP: called what they are. No root needed."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.analyze import analyze

pytestmark = pytest.mark.qemu

UBOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
EDK2 = Path("/usr/share/AAVMF/AAVMF_CODE.fd")
WAIT = 120.0  # seconds for a guest on a busy machine

Run = Callable[[list[str], bytes], tuple[Path, Path]]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Run]:
    """Runs a guest until its console holds the text; (capture, console)."""
    if shutil.which("qemu-system-aarch64") is None:
        pytest.skip("qemu-system-aarch64 is not installed (package qemu-system-arm)")
    (tmp_path / "tftp").mkdir()
    (tmp_path / "tftp" / "boot.img").write_bytes(bytes(3000))
    capture, console = tmp_path / "wire", tmp_path / "uart"
    started: list[subprocess.Popen[bytes]] = []

    def run(firmware: list[str], until: bytes) -> tuple[Path, Path]:
        command = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "512", "-display", "none"]
        command += ["-monitor", "none", "-serial", f"file:{console}", *firmware]
        command += ["-netdev", f"user,id=n,tftp={tmp_path}/tftp,bootfile=boot.img"]
        command += ["-device", "virtio-net-pci,netdev=n,mac=52:54:00:aa:00:01,romfile="]
        command += ["-object", f"filter-dump,id=f,netdev=n,file={capture}"]
        guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        started.append(guest)
        deadline = time.monotonic() + WAIT
        while until not in (said := console.read_bytes() if console.exists() else b""):
            assert guest.poll() is None, guest.communicate()[1]
            assert time.monotonic() < deadline, f"{until!r} was awaited; the console ends with {said[-300:]!r}"
            time.sleep(0.1)
        guest.terminate()
        guest.communicate(timeout=20)
        return capture, console

    yield run
    for guest in started:
        guest.kill()
        guest.communicate(timeout=20)


@pytest.mark.skipif(not UBOOT.exists(), reason=f"{UBOOT} is not there (package u-boot-qemu)")
def test_u_boot(machine: Run) -> None:
    capture, console = machine(["-bios", str(UBOOT)], b"No UEFI binary known")
    for files in ([capture], [console], [capture, console]):
        (board,) = analyze(files)
        assert (board.kind, board.model, board.outcome) == ("u-boot", "unknown", "u-boot")
        assert board.serial_number is None
    (board,) = analyze([capture])
    assert {exchange.client for exchange in board.dhcp} == {"u-boot"}, "also where it asks in UEFI's words"
    assert {file.asked_by for file in board.tftp} == {"u-boot"}
    assert ("boot.img", "complete", 3000) in [(file.path, file.result, file.bytes) for file in board.tftp]


@pytest.mark.slow
@pytest.mark.skipif(not EDK2.exists(), reason=f"{EDK2} is not there (package qemu-efi-aarch64)")
def test_edk2(machine: Run, tmp_path: Path) -> None:
    variables = tmp_path / "variables"
    shutil.copy(EDK2.with_name("AAVMF_VARS.fd"), variables)
    drives = [f"if=pflash,format=raw,readonly=on,file={EDK2}", f"if=pflash,format=raw,file={variables}"]
    firmware = [word for drive in drives for word in ("-drive", drive)]
    capture, console = machine(firmware, b"NBP file downloaded successfully")
    for files in ([capture], [console], [capture, console]):
        (board,) = analyze(files)
        assert (board.kind, board.model, board.outcome) == ("uefi", "unknown", "uefi")
    (board,) = analyze([capture])
    assert [(exchange.client, exchange.result) for exchange in board.dhcp] == [("uefi", "ack")]
    assert [(file.asked_by, file.result) for file in board.tftp] == [("uefi", "early terminate"), ("uefi", "complete")]
