# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulator's process on a real wire: dnsmasq serves, QEMU runs tiny kernels made here that need no operating system."""

import json
import os
import select
import shutil
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.power.virtual import VirtualPort
from harness.servers import Rig, VirtualBoard
from tests.emulator import samples

BOARDS = [VirtualBoard(f"pi4-{n}", "pi4", f"5ce8a2f{n}", f"dc:a6:32:01:02:0{n}", speed=200) for n in range(3)]

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces with a tap"),
    pytest.mark.skipif(not shutil.which("dnsmasq"), reason="needs dnsmasq: apt install dnsmasq-base"),
]
needs_qemu = [
    pytest.mark.qemu,
    pytest.mark.skipif(not shutil.which("qemu-system-aarch64"), reason="needs QEMU: apt install qemu-system-arm"),
]


def program(text: str, *, then: str) -> bytes:
    """A raw arm64 kernel for `virt`: writes text to the PL011 at 0x09000000, then "reset", "off", "echo" or "hang"."""
    code = [0xD2A00000 | 0x0900 << 5]  # movz x0, #0x0900, lsl #16
    for letter in text.encode():
        code += [0x52800000 | letter << 5 | 1, 0xB9000001]  # movz w1, #letter; str w1, [x0]
    if then in ("reset", "off"):
        # PSCI SYSTEM_OFF 0x84000008, SYSTEM_RESET 0x84000009: movz w0, movk w0 lsl #16, hvc #0
        code += [0x52800000 | (9 if then == "reset" else 8) << 5, 0x72A00000 | 0x8400 << 5, 0xD4000002]
    if then == "echo":
        # ldr w2, [x0, #0x18]; tbnz w2, #4, -4; ldr w1, [x0]; str w1, [x0]; b -16
        code += [0xB9401802, 0x3727FFE2, 0xB9400001, 0xB9000001, 0x17FFFFFC]
    code.append(0x14000000)  # b .
    return struct.pack(f"<{len(code)}I", *code)


class Console:
    """Reads a board's serial line from the start."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self.data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        # Not a blocking read: what another program sets on the line (VMIN 0) must not look like its end. That is a hang-up,
        # after which a line without data is always ready.
        line = select.poll()
        line.register(self.fd, select.POLLIN)
        try:
            while True:
                ((_, event),) = line.poll()
                data = os.read(self.fd, 65536)
                self.data += data
                if event & select.POLLHUP and not data:
                    return
        except OSError:
            return

    def close(self) -> None:
        """Once the emulator is gone."""
        self._thread.join(10)
        assert not self._thread.is_alive()
        os.close(self.fd)

    def wait(self, text: str, *, times: int = 1, timeout: float = 30.0) -> None:
        until(
            lambda: self.data.count(text.encode()) >= times,
            f"{text!r} x{times}",
            self.data[-1500:].decode,
            timeout,
        )


def until(done: Callable[[], object], what: str, seen: Callable[[], object], timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline, f"{what} did not come within {timeout} s; seen: {seen()}"
        time.sleep(0.01)


class Bench:
    """A rig with boards whose emulators run."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.consoles = {}
        for board in BOARDS:
            rig.start_emulator(board.name)
            self.consoles[board.name] = Console(rig.board(board.name).console)
        self._boots = 0

    def files(self, name: str, **changes: bytes | None) -> None:
        """The board's directory on the server; changes as in samples.tree."""
        serial = next(board.serial_number for board in BOARDS if board.name == name)
        shutil.rmtree(self.rig.tftp_root / serial, ignore_errors=True)
        for path, data in samples.tree(f"{serial}/", **changes).items():
            (self.rig.tftp_root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.rig.tftp_root / path).write_bytes(data)

    def power(self, name: str) -> VirtualPort:
        self._boots += 1
        folder = self.rig.folder / name / f"boot-{self._boots}"
        folder.mkdir(parents=True)
        return VirtualPort(self.rig.board(name).control_socket, folder=folder, board=name)

    def phase(self, port: VirtualPort, *phases: str) -> dict[str, Any]:
        until(lambda: port.status()["phase"] in phases, f"phase {phases}", port.status)
        return port.status()

    def in_client(self, *argv: str) -> str:
        out = self.rig.folder / "out"
        out.unlink(missing_ok=True)
        process = self.rig.spawn("client", list(argv), stdout=out, stderr=out)
        process.wait(20)
        return out.read_text(encoding="utf-8")

    def carrier(self, name: str) -> bool:
        shown = json.loads(self.in_client("ip", "-j", "link", "show", self.rig.board(name).tap))
        return "NO-CARRIER" not in shown[0]["flags"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Rig(BOARDS, tmp_path_factory.mktemp("emulator"), boot_set=None) as rig:
        bench = Bench(rig)
        yield bench
    for console in bench.consoles.values():
        console.close()


def off(port: VirtualPort) -> None:
    port.off()
    assert port.status()["phase"] == "stopped"


def test_missing_kernel_from_a_real_dnsmasq(bench: Bench):
    bench.files("pi4-0", kernel8_img=None)
    port, console = bench.power("pi4-0"), bench.consoles["pi4-0"]
    assert not bench.carrier("pi4-0")
    port.on()
    assert bench.phase(port, "halted")["error"] == ""
    console.wait("No compatible kernel found")
    assert bench.carrier("pi4-0")
    log = (bench.rig.folder / "pi4-0" / "emulator.log").read_text(encoding="utf-8")
    assert "no kernel" in log
    off(port)
    assert not bench.carrier("pi4-0")


def test_three_boards_in_one_process(bench: Bench, tmp_path: Path):
    """Their emulators rest meanwhile: off, they hold no tap."""
    entries = []
    for board in BOARDS:
        bench.files(board.name, kernel8_img=None, initramfs8=os.urandom(3_000_000))
        at = tmp_path / board.name
        at.mkdir()
        found = {key: getattr(board, key) for key in ("name", "model", "serial_number", "mac", "speed")}
        found |= {"tap": bench.rig.board(board.name).tap, "control": str(at / "c"), "status": str(at / "status.json")}
        entries.append(found | {"artefacts": str(at), "log": str(at / "log")})
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"boards": entries}), encoding="utf-8")
    process = bench.rig.spawn(
        "client", [sys.executable, "-m", "harness.emulator", str(config)], stderr=tmp_path / "err"
    )
    paths = [Path(found["status"]) for found in entries]
    until(lambda: all(path.exists() for path in paths), "status files", (tmp_path / "err").read_text)
    ports = [VirtualPort(Path(found["control"]), folder=tmp_path) for found in entries]
    for port in ports:
        port.on()
    for port in ports:
        assert bench.phase(port, "halted")["error"] == ""
    for found in entries:
        assert "no kernel" in Path(found["log"]).read_text(encoding="utf-8")
    process.signal(signal.SIGTERM)
    process.wait(10)
    assert process.returncode == 0
    assert all(json.loads(path.read_text(encoding="utf-8"))["state"] == "ended" for path in paths)


def test_server_that_stops_in_the_middle(bench: Bench):
    bench.files("pi4-0", start4_elf=samples.elf(60_000_000))
    port = bench.power("pi4-0")
    dnsmasq = bench.rig.services["dnsmasq"]
    port.on()
    bench.consoles["pi4-0"].wait("recovery.elf not found (6)")
    dnsmasq.stop()
    try:
        # It neither hangs nor takes processor time while it waits for the rest of its file.
        pid = json.loads(bench.rig.board("pi4-0").status.read_text(encoding="utf-8"))["pid"]
        ticks = bench.in_client("cat", f"/proc/{pid}/stat").split()
        time.sleep(1.0)
        later = bench.in_client("cat", f"/proc/{pid}/stat").split()
        assert int(later[13]) + int(later[14]) - int(ticks[13]) - int(ticks[14]) <= 2
        assert port.status()["phase"] == "bootloader"
    finally:
        off(port)
        dnsmasq.start()


class TestQemu:
    pytestmark = needs_qemu

    def test_hand_over_and_power_off(self, bench: Bench):
        bench.files("pi4-1", kernel8_img=program("hello from the guest", then="hang"))
        port, console = bench.power("pi4-1"), bench.consoles["pi4-1"]
        port.on()
        console.wait("hello from the guest")
        assert port.status()["phase"] == "qemu"
        assert port.folder is not None
        record = json.loads((port.folder / "handover.json").read_text(encoding="utf-8"))
        assert record["qemu"].startswith("QEMU emulator version")
        assert record["kernel"]["path"] == "5ce8a2f1/kernel8.img"
        assert record["kernel"]["bytes"] == len(program("hello from the guest", then="hang"))
        assert record["dtb"]["ok"] is True
        assert record["cmdline_used"].startswith("console=ttyAMA0,115200 root=/dev/nfs")
        assert "mac=dc:a6:32:01:02:01" in " ".join(record["argv"])
        assert bench.carrier("pi4-1")
        assert "qemu-system-aarch64" in bench.in_client("ps", "-eo", "args")
        off(port)
        assert "qemu-system-aarch64" not in bench.in_client("ps", "-eo", "args")
        assert not bench.carrier("pi4-1")

    def test_what_is_typed_reaches_the_guest_and_comes_back(self, bench: Bench):
        bench.files("pi4-1", kernel8_img=program("ready> ", then="echo"))
        port, console = bench.power("pi4-1"), bench.consoles["pi4-1"]
        port.on()
        console.wait("ready> ")
        delays = []
        for number in range(5):
            start = time.monotonic()
            os.write(console.fd, b"<%d>" % number)
            console.wait(f"<{number}>")
            delays.append(time.monotonic() - start)
        assert sorted(delays)[2] < 0.5
        off(port)

    def test_reboot_of_the_guest_is_a_warm_reset(self, bench: Bench):
        bench.files("pi4-1", kernel8_img=program("first", then="reset"))
        port, console = bench.power("pi4-1"), bench.consoles["pi4-1"]
        console.data.clear()
        port.on()
        console.wait("first")
        bench.files("pi4-1", kernel8_img=program("second", then="reset"))
        console.wait("second")
        assert b"PM_RSTS: 0x00000020" in console.data
        assert port.folder is not None
        until(
            lambda: json.loads((port.folder / "handover.json").read_text())["again"], "a second hand-over", port.status
        )  # type: ignore[operator]
        folder = port.folder.with_name("after a reboot")
        folder.mkdir()
        bench.files("pi4-1", kernel8_img=program("third", then="hang"))
        port.begin(folder)
        console.wait("third")
        until((folder / "handover.json").exists, "a hand-over in the folder of the next boot", port.status)
        off(port)

    def test_power_off_by_the_guest_halts_the_board(self, bench: Bench):
        bench.files("pi4-1", kernel8_img=program("bye", then="off"))
        port = bench.power("pi4-1")
        port.on()
        assert bench.phase(port, "halted") | {"t": 0} == {
            "ok": True,
            "state": "on",
            "phase": "halted",
            "error": "",
            "t": 0,
        }
        off(port)

    def test_kernel_that_qemu_refuses_is_the_boards_failure(self, bench: Bench):
        huge = bytearray(samples.kernel())
        huge[16:24] = struct.pack("<Q", 1 << 60)  # image_size
        bench.files("pi4-1", kernel8_img=bytes(huge))
        port = bench.power("pi4-1")
        port.on()
        assert bench.phase(port, "halted")["error"] == ""
        off(port)

    def test_muted_console_without_enable_uart(self, bench: Bench):
        bench.files("pi4-1", kernel8_img=program("unheard", then="reset"), config_txt=b"uart_2ndstage=1\n")
        port, console = bench.power("pi4-1"), bench.consoles["pi4-1"]
        console.data.clear()
        port.on()
        console.wait("PM_RSTS: 0x00000020")
        assert b"unheard" not in console.data
        off(port)

    def test_qemu_does_not_outlive_a_killed_emulator(self, bench: Bench):
        bench.files("pi4-2", kernel8_img=program("alive", then="hang"))
        port, console = bench.power("pi4-2"), bench.consoles["pi4-2"]
        port.on()
        console.wait("alive")
        process = bench.rig.emulator("pi4-2")
        assert process is not None
        process.signal(signal.SIGKILL)
        process.wait(5)
        until(
            lambda: "qemu-system-aarch64" not in bench.in_client("ps", "-eo", "args"),
            "the end of QEMU",
            lambda: "it runs",
        )


def test_a_tap_that_is_taken_away_is_told(bench: Bench, tmp_path: Path):
    """And the process does not spin on it. Last, since the third board's emulator has been killed above."""
    bench.in_client("ip", "tuntap", "add", "dev", "lost", "mode", "tap")
    bench.in_client("ip", "link", "set", "lost", "up")
    board = {"name": "x", "model": "pi4", "serial_number": "00000001", "mac": "dc:a6:32:01:02:99", "speed": 200}
    board |= {"tap": "lost", "control": str(tmp_path / "c"), "status": str(tmp_path / "s"), "artefacts": str(tmp_path)}
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"boards": [board | {"log": str(tmp_path / "log")}]}), encoding="utf-8")
    process = bench.rig.spawn(
        "client", [sys.executable, "-m", "harness.emulator", str(config)], stderr=tmp_path / "err"
    )
    until((tmp_path / "s").exists, "status file", (tmp_path / "err").read_text)
    port = VirtualPort(tmp_path / "c", folder=tmp_path)
    port.on()
    time.sleep(0.5)  # it sends DISCOVERs that nobody hears
    bench.in_client("ip", "link", "delete", "lost")
    assert "the tap lost was taken away" in bench.phase(port, "halted")["error"]
    process.signal(signal.SIGTERM)
    process.wait(10)
    assert process.returncode == 0
