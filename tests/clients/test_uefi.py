# SPDX-License-Identifier: GPL-2.0-or-later
"""UEFI's PXE, the iPXE that it fetches, and the kernel behind them are recorded as what they are."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.servers import Dnsmasq
from tests.clients.conftest import SERIAL, Client

FIRMWARE = Path("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd")

pytestmark = [
    pytest.mark.netns,
    pytest.mark.qemu,
    pytest.mark.skipif(not FIRMWARE.exists(), reason="not installed: qemu-efi-aarch64"),
]

OFFERS = (
    "dhcp-match=set:efi,option:client-arch,11",
    "dhcp-userclass=set:ipxe,iPXE",
    "dhcp-boot=tag:efi,tag:!ipxe,ipxe-arm64.efi",
    "dhcp-boot=tag:ipxe,boot.ipxe",
)
SCRIPT = """#!ipxe
kernel tftp://10.77.0.1/{serial}/kernel8.img initrd=initramfs8 {cmdline}
initrd tftp://10.77.0.1/{serial}/initramfs8
boot
"""


@pytest.mark.slow  # half a minute of firmware; U-Boot is there every day
def test_uefi_and_ipxe_are_no_pi(client: Client, ipxe: Path) -> None:
    root = client.rig.tftp_root
    (root / "ipxe-arm64.efi").write_bytes(ipxe.read_bytes())
    (root / "boot.ipxe").write_text(SCRIPT.format(serial=SERIAL, cmdline=client.cmdline))
    dnsmasq = client.rig.services["dnsmasq"]
    assert isinstance(dnsmasq, Dnsmasq)
    dnsmasq.options = replace(dnsmasq.options, extra=OFFERS)
    dnsmasq.restart()
    console = client.power_on("-bios", str(FIRMWARE))
    console.expect("iPXE initialising", timeout=120)
    console.expect("login: ", timeout=180)
    record = client.record()
    assert [one.client for one in record.dhcp] == ["uefi", "ipxe", "os"]
    by = {one.path: one.asked_by for one in record.tftp}
    assert by == {
        "autoexec.ipxe": "ipxe",  # asked for before iPXE's own DHCP
        "ipxe-arm64.efi": "uefi",
        "boot.ipxe": "ipxe",
        f"{SERIAL}/kernel8.img": "ipxe",
        f"{SERIAL}/initramfs8": "ipxe",
    }
