# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot emulate` on an interface of a machine that has its own address, against a real dnsmasq on another one."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.models import MODELS
from harness.servers import Rig, VirtualBoard
from harness.servers.boot_image import sign
from harness.servers.services.web import Web
from tests.emulator import rom, samples
from tests.emulator.fatimage import image as fat_image
from tests.servers.conftest import needs

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces and packet sockets"),
    needs("dnsmasq-nfs"),
]

VENDOR = {"BCM2837": "b8:27:eb", "BCM2711": "dc:a6:32", "BCM2712": "88:a2:9e"}
BOARDS = {
    name: VirtualBoard(name, name, f"0007bcd{number}", f"{VENDOR[model.soc]}:07:bc:d{number}")
    for number, (name, model) in enumerate(MODELS.items())
}


class Desk:
    """A machine at the boards' switch, where the command runs."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        rig.add_host("desk", "10.77.0.200/24")
        rig.keeper.wait_up("desk", ["eth0"])

    def start(self, name: str, folder: Path, *words: str) -> Any:
        folder.mkdir()
        argv = [sys.executable, "-m", "harness.cli", "emulate", "--interface", "eth0", "--model", BOARDS[name].model]
        argv += ["--serial-number", BOARDS[name].serial_number, "--mac", BOARDS[name].mac, "--speed", "100", "--json"]
        argv += ["--reports", str(folder / "reports"), *words]
        return self.rig.spawn("desk", argv, stdout=folder / "out", stderr=folder / "err")

    def emulate(self, name: str, folder: Path, *words: str) -> tuple[int | None, dict[str, Any], str]:
        process = self.start(name, folder, *words)
        process.wait(60)
        told = (folder / "err").read_text(encoding="utf-8")
        return process.returncode, json.loads((folder / "out").read_text(encoding="utf-8") or "{}"), told


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Rig(list(BOARDS.values()), tmp_path_factory.mktemp("desk"), boot_set=None) as rig:
        for board in BOARDS.values():
            model, prefix = MODELS[board.model], f"{board.serial_number}/"
            if model.bootloader == "rom":
                files = rom.tree(board.model, prefix)
            else:
                files = samples.tree(prefix)
                del files[f"{prefix}bcm2711-rpi-4-b.dtb"]
                files[prefix + model.dtb] = samples.dtb(model.compatible, f"brcm,{model.soc.lower()}")
            for path, data in files.items():
                (rig.tftp_root / path).parent.mkdir(parents=True, exist_ok=True)
                (rig.tftp_root / path).write_bytes(data)
        yield Desk(rig)


@pytest.mark.parametrize("name", BOARDS)
def test_every_model_up_to_its_kernel(desk: Desk, tmp_path: Path, name: str):
    began = time.monotonic()
    code, record, told = desk.emulate(name, tmp_path / "x")
    assert code == 0, told
    assert record["verdict"] == "passed", record["reason"]
    assert time.monotonic() - began < 30
    assert record["mac"] == BOARDS[name].mac
    assert record["machine"]["machine"] == "none"
    assert record["machine"]["dtb"]["ok"]
    assert record["capture"]["complete"]
    complete = {one["path"].rpartition("/")[2] for one in record["tftp"] if one["result"] == "complete"}
    assert {"kernel8.img", MODELS[name].dtb, "config.txt", "cmdline.txt"} <= complete
    assert f"A real {MODELS[name].title} would now start" in told
    assert "its device tree fits" in told
    if MODELS[name].bootloader == "eeprom":
        assert "  | " in told
        assert "wait for link" in told
    folder = next((tmp_path / "x" / "reports").glob("*/" + name))
    for file in ("capture.pcapng", "console.log", "record.json", "handover.json", "emulator.log"):
        assert (folder / file).stat().st_size, file
    assert (folder.parent / "report.html").exists()


@pytest.fixture
def image(desk: Desk) -> bytes:
    """A FAT image with the boot files of the desk's Pi 5."""
    folder = desk.rig.tftp_root / BOARDS["pi5"].serial_number
    return fat_image({str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()})


@pytest.fixture
def as_two_machines_of_one_host(desk: Desk) -> Iterator[None]:
    """Cables on which a server leaves checksums, and the cutting of TCP into packets, to a card that is none."""

    def switch(word: str) -> None:
        for host, interface in (("server", "eth0"), ("desk", "eth0"), ("client", "to-server"), ("client", "to-desk")):
            argv = ["ethtool", "-K", interface, "tx", word, "tso", word, "gso", word]
            desk.rig.spawn(host, argv).wait(20)

    switch("on")
    yield
    switch("off")


@pytest.mark.usefixtures("as_two_machines_of_one_host")
def test_boot_over_http(desk: Desk, tmp_path: Path, image: bytes):
    www = tmp_path / "www" / "lab"
    www.mkdir(parents=True)
    (www / "boot.img").write_bytes(image)
    sign(www / "boot.img")
    web = Web(desk.rig.keeper, "server", tmp_path, address="10.77.0.1", port=8000, root=tmp_path / "www")
    keys = ("BOOT_ORDER=0xe7", "HTTP_HOST=10.77.0.1", "HTTP_PORT=8000", "HTTP_PATH=lab")
    web.start()
    try:
        code, record, told = desk.emulate("pi5", tmp_path / "x", *(word for key in keys for word in ("--eeprom", key)))
    finally:
        web.stop()
    assert code == 0, told
    assert [(one["path"], one["result"]) for one in record["http"]] == [
        ("/lab/boot.sig", "complete"),
        ("/lab/boot.img", "complete"),
    ]
    assert record["http"][1]["bytes"] == len(image)
    assert record["tftp"] == []
    assert "http://10.77.0.1:8000/lab/boot.img" in told
    assert "A real Raspberry Pi 5 Model B would now start" in told


def test_image_by_tftp(desk: Desk, tmp_path: Path, image: bytes):
    folder = desk.rig.tftp_root / "0007bcff"
    folder.mkdir()
    (folder / "config.txt").write_text("boot_ramdisk=1\n")
    (folder / "boot.img").write_bytes(image)
    code, record, told = desk.emulate("pi5", tmp_path / "x", "--serial-number", "0007bcff")
    assert code == 0, told
    assert [one["path"] for one in record["tftp"] if one["kind"] == "get"][-1] == "0007bcff/boot.img"
    assert "A real Raspberry Pi 5 Model B would now start" in told


def test_a_missing_kernel_is_the_servers_fault(desk: Desk, tmp_path: Path):
    kernel = desk.rig.tftp_root / BOARDS["pi4"].serial_number / "kernel8.img"
    data = kernel.read_bytes()
    kernel.unlink()
    try:
        code, record, told = desk.emulate("pi4", tmp_path / "x")
    finally:
        kernel.write_bytes(data)
    assert code == 1, told
    assert record["verdict"] == "failed(firmware)"
    assert "kernel" in record["reason"]
    assert "would not get a system from this server" in told


def test_a_missing_server(desk: Desk, tmp_path: Path):
    service = desk.rig.services["dnsmasq"]
    service.stop()
    try:
        code, record, told = desk.emulate("pi4", tmp_path / "x", "--timeout", "4")
    finally:
        service.start()
    assert code == 1, told
    assert record["verdict"] == "failed(dhcp)"
    assert any(finding["severity"] == "fault" and finding["remedy"] for finding in record["findings"]), record
    assert "would not boot here" in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_record_and_nothing_running(desk: Desk, tmp_path: Path, number: int):
    service = desk.rig.services["dnsmasq"]
    service.stop()
    try:
        process = desk.start("pi4", tmp_path / "x")
        err = tmp_path / "x" / "err"
        deadline = time.monotonic() + 20
        while not (err.exists() and "wait for link" in err.read_text(encoding="utf-8")):
            assert time.monotonic() < deadline, "the board's first line did not come within 20 s"
            time.sleep(0.05)
        process.signal(number)
        process.wait(20)
    finally:
        service.start()
    assert process.returncode == 130
    record = json.loads(next((tmp_path / "x" / "reports").glob("*/pi4/record.json")).read_text(encoding="utf-8"))
    assert "stopped by a person" in record["reason"]
    out = tmp_path / "ps"
    listing = desk.rig.spawn("desk", ["ps", "-eo", "args"], stdout=out)
    listing.wait(10)
    assert not [line for line in out.read_text().splitlines() if "harness.emulator" in line or "tcpdump" in line]
