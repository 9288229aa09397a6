# SPDX-License-Identifier: GPL-2.0-or-later
"""U-Boot, and the kernel's own DHCP client behind it, are recorded as what they are."""

import re
from pathlib import Path

import pytest

from tests.clients.conftest import MAC, NAME, SERIAL, Client

UBOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
PROMPT = r"=> $"

pytestmark = [
    pytest.mark.netns,
    pytest.mark.qemu,
    pytest.mark.skipif(not UBOOT.exists(), reason="not installed: u-boot-qemu"),
]


def test_uboot_is_no_pi(client: Client) -> None:
    console = client.power_on("-bios", str(UBOOT))

    def say(command: str, timeout: float = 60) -> str:
        console.send(command + "\r")
        console.expect(PROMPT, timeout=timeout)
        return str(console.before)

    console.expect("Hit any key to stop autoboot", timeout=60)
    console.send(" ")
    console.expect(PROMPT, timeout=20)
    say("setenv autoload no")
    assert "DHCP client bound" in say("dhcp")
    say("setenv serverip 10.77.0.1")
    assert "Bytes transferred" in say(f"tftpboot ${{kernel_addr_r}} {SERIAL}/kernel8.img", 120)
    assert "Bytes transferred" in say(f"tftpboot ${{ramdisk_addr_r}} {SERIAL}/initramfs8", 120)
    say(f"setenv bootargs '{client.cmdline}'")
    console.send("booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdtcontroladdr}\r")
    console.expect(re.compile(r"login: "), timeout=120)
    record = client.record()
    assert [(one.client, one.result) for one in record.dhcp] == [("u-boot", "ack"), ("os", "ack")]
    assert {one.mac for one in record.dhcp} == {MAC}
    files = {one.path: (one.asked_by, one.result) for one in record.tftp}
    assert files == {f"{SERIAL}/{name}": ("u-boot", "complete") for name in ("kernel8.img", "initramfs8")}
    assert record.root is not None
    assert record.root.path == client.rig.facts(NAME).root_source.partition(":")[2]
