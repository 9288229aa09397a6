# SPDX-License-Identifier: GPL-2.0-or-later
"""UART lines by release: prefixes, banners, and the lines that harnesses look for."""

import re

import pytest

from tests.emulator import samples
from tests.emulator.netserver import NetServer
from tests.emulator.simulator import boot

#: Regular expressions of the facts on real logs (section 6.5), written for any release.
MILESTONES = [
    r"^(?:\s*\d+\.\d\d\s+)?RPi: (BOOTSYS|BOOTLOADER) release VERSION:([0-9a-f]{8})",
    r"Boot mode: (\w[\w-]*) \(([0-9a-f]{2})\) order ([0-9a-f]+)",
    r"(?:NET_BOOT|NETWORK): ([0-9a-f:]{17}) wait for link TFTP: ([\d.]+)",
    r"LINK STATUS: speed: (\d+) (full|half) duplex",
    r"DHCP src: ([0-9a-f:]{17}) ([\d.]+)",
    r"DHCP recv (OFFER|ACK|NACK) \((\d+)\) expect (OFFER|ACK)",
    r"^.*NET ([\d.]+) ([\d.]+) gw ([\d.]+) tftp ([\d.]+)",
    r"TFTP_GET: ([0-9a-f:]{17}) (\S+) (\S+)",
    r"TFTP: complete (\d+)",
    r"TFTP \d+: (.*)",
    r"Starting start4\.elf @",
]


@pytest.mark.parametrize("date", ["2021-07-06", "2022-11-25", "2024-04-17", "2025-05-08", ""])
def test_every_release_prints_what_harnesses_look_for(date: str):
    world = boot(NetServer(samples.tree()), date=date)
    assert world.ended == "handover"
    for pattern in MILESTONES:
        assert re.search(pattern, world.text, re.MULTILINE), pattern


def test_lines_end_as_on_a_serial_port():
    text = boot(NetServer(samples.tree())).text
    assert text.count("\n") == text.count("\r\n") > 80


def test_current_release_stamps_its_lines_and_has_two_banners():
    lines = boot(NetServer(samples.tree())).text.split("\r\n")
    assert lines[0].startswith("  0.07 RPi: BOOTSYS release VERSION:")
    assert "DATE: 2026/08/04" in lines[0]
    assert any(re.match(r"  2\.12 RPi: BOOTLOADER release VERSION:", line) for line in lines)
    assert any(re.fullmatch(r"  2\.50 Boot mode: NETWORK \(02\) order f", line) for line in lines)
    assert any(re.fullmatch(r"  5\.\d\d ARP 10\.77\.0\.1 02:00:00:00:00:01", line) for line in lines)
    assert any("serial 91cdf03d boardrev d03114 stc" in line for line in lines)


def test_banner_names_the_memory_of_the_revision():
    assert "Initialising SDRAM 'Micron' 32Gb x2 total-size: 64 Gbit 3200" in boot(NetServer(), seconds=3).text


def test_old_release_has_one_banner_and_no_stamps():
    lines = boot(NetServer(samples.tree()), date="2021-07-06").text.split("\r\n")
    assert lines[0] == "PM_RSTS: 0x00001000"
    assert lines[1].startswith("RPi: BOOTLOADER release VERSION:")
    assert "DATE: Jul  6 2021" in lines[1]
    assert "0x91cdf03d 0x00d03114 0x00011170" in lines[1]
    assert "NET_BOOT: e4:5f:01:09:02:f7 wait for link TFTP: 0.0.0.0" in lines
    assert "\top: 53 len:   1 DHCP recv OFFER (2) expect OFFER" in lines


def test_firmware_lines():
    text = boot(NetServer(samples.tree())).text
    for pattern in (
        r"MESS:00:00:05\.\d{6}:0: brfs: File read: /mfs/sd/config\.txt",
        r"initramfs loaded to 0x2eff[0-9a-f]{4} \(size 0x1068\)",
        r"dtb_file 'bcm2711-rpi-4-b\.dtb'",
        r"Loading 'bcm2711-rpi-4-b\.dtb' to 0x100 size 0x[0-9a-f]+",
        r"dtparam: audio=on",
        r"Loaded overlay 'disable-bt'",
        r"Read command line from file 'cmdline\.txt':",
        r"'console=serial0,115200 root=/dev/nfs nfsroot=10\.77\.0\.1:/srv/pi rw ip=dhcp'",
        r"Loading 'kernel8\.img' to 0x200000 size 0x2328",
        r"Device tree loaded to",
    ):
        assert re.search(pattern, text), pattern


def test_files_are_reported_with_their_sizes():
    text = boot(NetServer(samples.tree())).text
    assert re.search(r"Read 91cdf03d/config\.txt bytes {5,}\d+ hnd 0x0", text)
    assert "TFTP: complete 3000" in text
    assert "TFTP 1: file /srv/tftp/91cdf03d/pieeprom.sig not found" in text
    assert "recovery.elf not found (6)" in text
    assert "Missing/empty" not in text
