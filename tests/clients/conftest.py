# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual machine with a boot loader of its own on a board's switch port, watched as a board is."""

import os
import pty
import shutil
import tty
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.boot.expect import Expectation
from harness.boot.record import BootRecord
from harness.console.dialogue import Dialogue
from harness.console.log import ConsoleLog
from harness.images import boot_set, cache_folder
from harness.images.apt import PrivateApt, unpack
from harness.lab.captures import rig_capture
from harness.power.journal import PowerJournal
from harness.run import write_json
from harness.run.replay import replay
from harness.servers import Rig, VirtualBoard, requirements
from harness.servers.programs import system_path

#: The MAC is what U-Boot for QEMU takes, whatever card the machine has.
NAME, SERIAL, MAC = "other", "0badcafe", "52:52:52:52:52:52"


class Client:
    """One virtual machine: its rig, its console as a dialogue, and what the judge makes of it."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.folder = folder
        self.stack = ExitStack()
        self.errors: list[BaseException] = []

    @property
    def files(self) -> Path:
        return self.rig.tftp_root / SERIAL

    @property
    def cmdline(self) -> str:
        return self.rig.board(NAME).cmdline.replace("serial0,115200", "ttyAMA0")

    def power_on(self, *options: str) -> Dialogue:
        """Start QEMU with these options and the machine's card on the board's port; its console."""
        port = self.rig.board(NAME)
        write_json(self.folder / "expect.json", Expectation(board=NAME, model="pi4", mac=MAC).model_dump_json())
        master, slave = pty.openpty()
        for end in (slave, master):  # ours, too: a console that hangs up before it is closed has vanished
            self.stack.callback(os.close, end)
        tty.setraw(slave)
        console = ConsoleLog(
            os.ttyname(slave), self.folder, on_event=lambda _event: None, on_error=self.errors.append, baudrate=115200
        )
        self.stack.callback(console.close)
        console.start()
        capture = rig_capture(self.rig, port.host, port.tap, MAC)(self.folder, lambda _event: None, self.errors.append)
        self.stack.enter_context(capture)
        PowerJournal(self.folder).edge(True, "asked")
        command = ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72", "-m", "768", "-nodefaults"]
        command += ["-netdev", f"tap,id=wire,ifname={port.tap},script=no,downscript=no,vnet_hdr=off"]
        command += ["-device", f"virtio-net-pci,netdev=wire,mac={MAC},romfile=", "-device", "virtio-rng-pci"]
        command += ["-serial", "stdio", "-display", "none", "-monitor", "none", "-no-reboot", *options]
        process = self.rig.spawn(port.host, command, stdin=master, stdout=master, stderr=self.folder / "qemu.log")
        self.stack.callback(process.stop)
        PowerJournal(self.folder).edge(True, "confirmed")
        return self.stack.enter_context(Dialogue(console))

    def record(self) -> BootRecord:
        """Power off, and the record of what the files hold."""
        self.stack.close()
        assert not self.errors, self.errors
        return replay(self.folder)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    if os.geteuid() != 0:
        pytest.skip("needs root: the emulated lab's NFS server opens files by handle")
    wanted = {entry.program: entry.debian_package for entry in requirements()} | {
        "qemu-system-aarch64": "qemu-system-arm"
    }
    absent = [package for program, package in wanted.items() if shutil.which(program, path=system_path()) is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    board = VirtualBoard(NAME, "pi4", SERIAL, MAC)
    folder = tmp_path / "run" / NAME
    folder.mkdir(parents=True)
    with Rig([board], tmp_path / "run", boot_set=boot_set("light")) as rig:
        found = Client(rig, folder)
        with found.stack:
            yield found


@pytest.fixture(scope="session")
def ipxe() -> Path:
    """iPXE for arm64 EFI, of Debian 13's package: the one of Debian 12 has none. Got once, checked by apt."""
    for path in (Path("/usr/lib/ipxe/ipxe-arm64.efi"), cache_folder() / "ipxe" / "usr/lib/ipxe/ipxe-arm64.efi"):
        if path.is_file():
            return path
    folder = cache_folder() / "ipxe"
    apt = PrivateApt(folder / "apt")
    apt.sources.write_text(apt.sources.read_text().replace("bookworm", "trixie"))
    apt.update()
    unpack(apt.download(["ipxe"], folder / "deb")["ipxe"], folder)
    return path
