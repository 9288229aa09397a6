# SPDX-License-Identifier: GPL-2.0-or-later
"""A break and a SysRq key, all the way to a real kernel: QEMU's serial port behind its own telnet server."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.boot.events import ConsoleGap, Milestone
from harness.console.log import ConsoleLog
from harness.console.port import open_port
from harness.images import boot_set

from .serial_server import free_port

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(os.geteuid() != 0, reason="the boot set is built by root"),
]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[str]:
    """A machine whose kernel starts a shell; it waits for somebody to listen. The URL of its console."""
    boot = boot_set("light").boot
    port = free_port()
    argv = ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72", "-m", "256", "-display", "none"]
    argv += ["-monitor", "none", "-nodefaults", "-no-reboot", "-kernel", str(boot / "kernel8.img")]
    argv += ["-initrd", str(boot / "initramfs8"), "-append", "console=ttyAMA0 rdinit=/bin/sh"]
    argv += ["-serial", f"telnet:127.0.0.1:{port},server=on,wait=on"]
    with (tmp_path / "qemu.log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log)
        yield f"telnet://127.0.0.1:{port}"
        process.kill()
        process.wait()


def _connected(url: str, folder: Path) -> tuple[ConsoleLog, list[Milestone | ConsoleGap]]:
    told: list[Milestone | ConsoleGap] = []
    deadline = time.monotonic() + 60.0
    while True:
        try:
            return ConsoleLog(lambda: open_port(url), folder, on_event=told.append, reconnect_for=600.0).start(), told
        except Exception:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_kernel_obeys(machine: str, tmp_path: Path) -> None:
    console, told = _connected(machine, tmp_path)
    assert console.wait(lambda: console.tail(4).rstrip(" ").endswith("#"), 300.0), console.tail()
    console.sysrq("h")
    assert console.wait(lambda: "sysrq: HELP" in console.tail(4000), 60.0), console.tail()
    console.sysrq("b")
    assert console.wait(lambda: any(isinstance(event, ConsoleGap) for event in told), 60.0), "the machine was not reset"
    assert "sysrq: Resetting" in console.tail(4000)
    console.close()
