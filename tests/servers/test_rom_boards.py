# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rig does for boards that start from their boot ROM, and for nobody else."""

from pathlib import Path
from unittest.mock import Mock

from harness.servers import Dnsmasq, VirtualBoard, topology_named
from harness.servers.boot_files import lay_out
from harness.servers.services.dnsmasq import DnsmasqOptions, options_for
from tests.servers.conftest import TinyBootSet

PI4 = VirtualBoard("a", "pi4", "91cdf03d", "e4:5f:01:09:02:f7")
PI3B = VirtualBoard("b", "pi3b", "0007bcc6", "b8:27:eb:07:bc:c6")
PI2B = VirtualBoard("c", "pi2b", "0007bcc7", "b8:27:eb:07:bc:c7")
PI3BPLUS = VirtualBoard("d", "pi3bplus", "0007bcc8", "b8:27:eb:07:bc:c8")


def test_nothing_changes_for_boards_with_an_eeprom() -> None:
    assert options_for([PI4]) == DnsmasqOptions()


def test_spaces_for_roms_and_a_pause_for_the_old_ones() -> None:
    assert options_for([PI4, PI3BPLUS]) == DnsmasqOptions(menu="Raspberry Pi Boot   ")
    options = options_for([PI4, PI3B, PI2B, PI3BPLUS])
    assert options.delayed == (PI3B.mac, PI2B.mac)


def test_pause_meets_these_boards_alone(tmp_path: Path) -> None:
    service = Dnsmasq(
        Mock(), "server", tmp_path, address="10.77.0.1/24", tftp_root=tmp_path, options=options_for([PI3B, PI4])
    )
    lines = service.render().splitlines()
    assert 'pxe-service=0,"Raspberry Pi Boot   "' in lines
    assert [line for line in lines if "late" in line] == [
        f"dhcp-mac=set:late,{PI3B.mac}",
        "dhcp-reply-delay=tag:late,1",
    ]


def test_bootcode_bin_in_the_root_writes_its_log(tmp_path: Path) -> None:
    boot = tmp_path / "set"
    boot.mkdir()
    (boot / "bootcode.bin").write_bytes(b"code BOOT_UART=0\n code")
    lay_out(tmp_path / "tftp", PI3B, topology_named("dnsmasq-nfs"), TinyBootSet(boot, tmp_path, "light"))
    assert (tmp_path / "tftp" / "bootcode.bin").read_bytes() == b"code BOOT_UART=1\n code"
