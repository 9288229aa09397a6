# SPDX-License-Identifier: GPL-2.0-or-later
"""Fifty boards in one process on one switch, all switched on at once: each gets its files, each is recorded and judged."""

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from harness.boot.expect import Expectation
from harness.boot.record import BootRecord
from harness.models import MODELS
from harness.power.journal import JournaledPort, PowerJournal
from harness.power.virtual import VirtualPort
from harness.run.replay import replay
from harness.servers import Dnsmasq, Rig, VirtualBoard
from harness.wire.capture import Capture
from harness.wire.process import Process
from tests.emulator import rom, samples
from tests.servers.conftest import needs

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces with taps"),
    needs("dnsmasq-nfs"),
]


def board(n: int) -> VirtualBoard:
    """Every model in turn. What starts from its boot ROM has a MAC address that ends as its serial number does.

    One 2B and one 3B have the bugs of their ROM: for each of these, dnsmasq answers nobody for a second (dhcp-reply-delay).
    """
    model = list(MODELS)[n % len(MODELS)]
    rom = MODELS[model].bootloader == "rom"
    mac = f"b8:27:eb:e8:00:{n:02x}" if rom else f"dc:a6:32:01:02:{n:02x}"
    return VirtualBoard(
        f"pi-{n:02d}", model, f"5ce8{n:04x}", mac, speed=20, otp={"strict": n < len(MODELS)} if rom else {}
    )


BOARDS = [board(n) for n in range(50)]


def until(done: object, what: str, timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"{what} did not come within {timeout} s"
        time.sleep(0.05)


def lay_out(rig: Rig) -> None:
    for board in BOARDS:
        model, prefix = MODELS[board.model], f"{board.serial_number}/"
        if model.bootloader == "rom":
            files = rom.tree(model.name, prefix, kernel8_img=samples.kernel(200_000))
        else:
            files = samples.tree(prefix, kernel8_img=samples.kernel(200_000))
            del files[f"{prefix}bcm2711-rpi-4-b.dtb"]
            files[prefix + model.dtb] = samples.dtb(model.compatible, f"brcm,{model.soc.lower()}")
        for path, data in files.items():
            (rig.tftp_root / path).parent.mkdir(parents=True, exist_ok=True)
            (rig.tftp_root / path).write_bytes(data)


def configure(rig: Rig, folder: Path) -> Path:
    entries = []
    for board in BOARDS:
        at = folder / board.name
        at.mkdir()
        entry = {key: getattr(board, key) for key in ("name", "model", "serial_number", "mac", "speed", "otp")}
        entry |= {"tap": rig.board(board.name).tap, "machine": "none", "log": str(at / "emulator.log")}
        entry |= {"control": str(at / "c"), "status": str(at / "status.json"), "artefacts": str(at)}
        entries.append(entry)
        expectation = Expectation(
            board=board.name,
            model=board.model,
            serial_number=board.serial_number,
            mac=board.mac,
            emulated=True,
            speed=board.speed,
            until="firmware",
            budgets=dict(MODELS[board.model].budgets),
            has_console=False,
        )
        (at / "expect.json").write_text(expectation.model_dump_json(), encoding="utf-8")
    config = folder / "config.json"
    config.write_text(json.dumps({"boards": entries}), encoding="utf-8")
    return config


def test_fifty_boards_at_once(tmp_path: Path) -> None:
    with Rig(BOARDS, tmp_path / "run", boot_set=None) as rig:
        dnsmasq = rig.services["dnsmasq"]
        assert isinstance(dnsmasq, Dnsmasq)
        late = [board.mac for board in BOARDS if board.mac in dnsmasq.options.delayed and board.otp["strict"]]
        dnsmasq.options = replace(dnsmasq.options, delayed=late)
        dnsmasq.restart()
        lay_out(rig)
        config = configure(rig, tmp_path)
        emulator = rig.spawn("client", [sys.executable, "-m", "harness.emulator", str(config)], stderr=tmp_path / "err")
        until(lambda: all((tmp_path / board.name / "status.json").exists() for board in BOARDS), "the emulator")
        ports = {name: VirtualPort(tmp_path / name / "c", folder=tmp_path / name) for name in rig.boards}

        def spawn(argv: Sequence[str], stdout_fd: int, stderr_fd: int) -> Process:
            return rig.spawn("client", argv, stdout=stdout_fd, stderr=stderr_fd)

        with Capture("to-server", tmp_path / "capture.pcapng", spawn=spawn) as capture:
            began = time.monotonic()
            with ThreadPoolExecutor(len(ports)) as hands:
                list(hands.map(lambda name: JournaledPort(ports[name], PowerJournal(tmp_path / name)).on(), ports))
            left = set(ports)
            deadline = time.monotonic() + 60
            while left:
                assert time.monotonic() < deadline, {name: ports[name].status() for name in left}
                left = {name for name in left if ports[name].status()["phase"] != "handed over"}
                time.sleep(0.02)
            took = time.monotonic() - began
        assert capture.info.complete, capture.info
        pids = {json.loads((tmp_path / name / "status.json").read_text())["pid"] for name in ports}
        assert len(pids) == 1
        emulator.signal(signal.SIGTERM)
        emulator.wait(10)
        assert emulator.returncode == 0
    records = [judged(tmp_path, name) for name in ports]
    assert {record.verdict for record in records} == {"passed"}, [(r.board, r.reason) for r in records]
    for board, record in zip(BOARDS, records, strict=True):
        assert record.machine is not None
        assert record.machine["kernel"]["path"] == f"{board.serial_number}/kernel8.img"
        assert {one.path.split("/")[0] for one in record.tftp} <= {
            board.serial_number,
            *("overlays", "config.txt", "bootcode.bin", "bootsig.bin"),
        }
        # Those of a 2B or 3B may have to ask again: no server answers fifty at once.
        programs = [name for name, _again in groupby(one.asked_by for one in record.dhcp)]
        assert programs == (["rom", "bootcode.bin"] if MODELS[board.model].bootloader == "rom" else ["eeprom"])
    # What a boot ROM was offered it never asks for: to the server it stays free, and dnsmasq may give it to another board.
    leases = [exchange.address for record in records for exchange in record.dhcp if exchange.result == "ack"]
    assert len(set(leases)) == len(leases) == sum(MODELS[board.model].bootloader != "rom" for board in BOARDS)
    slowest = max(record.duration_s for record in records)
    print(f"50 boards handed over within {took:.1f} s, the slowest in {slowest:.1f} s; {capture.info.packets} packets")
    assert took < 45


def judged(folder: Path, name: str) -> BootRecord:
    (folder / name / "capture.pcapng").symlink_to(folder / "capture.pcapng")
    return replay(folder / name)


@pytest.mark.slow
def test_fifty_idle_boards_cost_nothing(tmp_path: Path) -> None:
    """Nobody answers them: between their DISCOVERs they sleep."""
    with Rig(BOARDS, tmp_path / "run", boot_set=None) as rig:
        rig.services["dnsmasq"].stop()
        config = configure(rig, tmp_path)
        emulator = rig.spawn("client", [sys.executable, "-m", "harness.emulator", str(config)], stderr=tmp_path / "err")
        until(lambda: all((tmp_path / board.name / "status.json").exists() for board in BOARDS), "the emulator")
        for board in BOARDS:
            VirtualPort(tmp_path / board.name / "c", folder=tmp_path / board.name).on()
        time.sleep(2.0)  # each has sent its first DISCOVERs
        pid = json.loads((tmp_path / "pi-00" / "status.json").read_text(encoding="utf-8"))[
            "pid"
        ]  # in the rig's own count
        seen = tmp_path / "stat"

        def cpu() -> float:
            seen.unlink(missing_ok=True)
            rig.spawn("client", ["cat", f"/proc/{pid}/stat"], stdout=seen).wait(10)
            fields = seen.read_text(encoding="utf-8").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        before = cpu()
        time.sleep(5.0)
        spent = cpu() - before
        print(f"50 boards without a server: {spent:.2f} s of processor time in 5 s")
        assert spent < 0.5
        emulator.signal(signal.SIGTERM)
        emulator.wait(10)
