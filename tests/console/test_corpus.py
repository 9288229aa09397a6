# SPDX-License-Identifier: GPL-2.0-or-later
"""Console logs of real boards that other people published, where a collection of them is at hand: each is read rightly.

The folder is $PIBOOT_CORPUS, or `shared/corpus` beside the repository; without it this is skipped. Names are compared in their
order, repetitions in a row counted once.
"""

import os
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from harness.boot.events import Milestone
from harness.console.hints import Hints, hints
from harness.console.replay import milestones_of

CORPUS = Path(os.environ.get("PIBOOT_CORPUS") or Path(__file__).parents[2].parent / "shared" / "corpus")


@dataclass(frozen=True)
class Log:
    """number: the file's name begins with it."""

    number: str
    model: str | None
    family: str | None
    bootloader_date: str | None
    names: str


LOGS = (
    Log(
        "01",
        "pi4",
        "pi4",
        "2021-11-22",
        """
        bootloader.banner bootloader.mode net.wait_link net.stopping net.failed bootloader.mode
        bootloader.insert_sd
    """,
    ),
    Log(
        "02",
        None,
        "pi4",
        None,
        """
        bootloader.mode net.wait_link net.link net.link_ready net.dhcp_src net.yiaddr net.dhcp_recv net.option66
        net.dhcp_src net.yiaddr net.dhcp_recv net.option66 net.config net.arp net.config tftp.get
    """,
    ),
    Log(
        "04",
        "pi5",
        "pi5",
        "2025-05-08",
        """
        bootloader.banner bootloader.board bootloader.banner bootloader.board bootloader.mode firmware.missing
        firmware.read_file firmware.missing firmware.read_file firmware.mess_start firmware.read_file
        firmware.missing firmware.dtb firmware.load firmware.read_file firmware.missing firmware.load
        firmware.read_file firmware.dtb_loaded firmware.start_os firmware.bl31
    """,
    ),
    Log(
        "12",
        None,
        "pi4",
        None,
        """
        bootloader.mode net.wait_link net.link net.link_ready net.config tftp.get
    """,
    ),
    Log(
        "19",
        "pi4",
        "pi4",
        "2022-03-10",
        """
        diag.board diag.bootloader diag.boot diag.net diag.tftp bootloader.mode
    """,
    ),
    Log(
        "20",
        "pi4",
        "pi4",
        "2022-03-10",
        """
        diag.board diag.bootloader diag.boot diag.net diag.tftp bootloader.mode net.wait_link net.link_ready
        net.dhcp_src net.yiaddr net.siaddr net.option66 net.dhcp_src net.yiaddr net.siaddr net.config net.arp
        net.config tftp.error firmware.read_file
    """,
    ),
    Log(
        "23",
        "pi3bplus",
        "rom",
        None,
        """
        bootloader.banner firmware.read_file firmware.open firmware.mess_start firmware.missing firmware.open
        firmware.load firmware.open freebsd.loader uefi.banner freebsd.kernel freebsd.version freebsd.root
        kernel.nic
    """,
    ),
    Log(
        "27",
        "pi4",
        "pi4",
        "2022-01-25",
        """
        bootloader.banner bootloader.mode
    """,
    ),
    Log(
        "28",
        None,
        "pi4",
        None,
        """
        bootloader.vl805 bootloader.eeprom_updated
    """,
    ),
    Log(
        "32",
        None,
        "pi4",
        "2019-09-10",
        """
        bootloader.banner firmware.read_file firmware.read_failed firmware.read_file firmware.start_elf
    """,
    ),
    Log(
        "37",
        None,
        "pi4",
        None,
        """
        bootloader.mode firmware.read_file firmware.open firmware.load kernel.start
    """,
    ),
    Log(
        "38",
        "pi3bplus",
        "rom",
        None,
        """
        kernel.nic kernel.dhcp kernel.ip_answer kernel.ip_complete kernel.ip_config kernel.ip_servers
        kernel.nfsroot_mounted kernel.init
    """,
    ),
    Log(
        "40",
        None,
        "rom",
        None,
        """
        kernel.ip_answer kernel.ip_complete kernel.ip_config kernel.ip_servers kernel.nfsroot_mounted
        kernel.init init.start login.banner login.prompt login.banner login.prompt shell.prompt os.poweroff
    """,
    ),
    Log(
        "41",
        None,
        "rom",
        None,
        """
        kernel.wait_network kernel.ip_complete kernel.ip_config kernel.ip_servers kernel.root_mounted
    """,
    ),
    Log(
        "42",
        None,
        "pi4",
        None,
        """
        uboot.tftp uboot.file uboot.bytes uboot.device uboot.tftp uboot.file uboot.tftp_retry uboot.bytes
        uboot.start_kernel kernel.ip_config kernel.ip_servers kernel.nfsroot_mounted kernel.init init.start
        login.banner
    """,
    ),
    Log(
        "46",
        None,
        "pi4",
        None,
        """
        kernel.uart kernel.console kernel.bootconsole_off
    """,
    ),
    Log(
        "48",
        None,
        "rom",
        None,
        """
        kernel.start kernel.version kernel.cpu kernel.cmdline kernel.firmware kernel.uart kernel.console
        kernel.uart kernel.wait_root kernel.root_error kernel.panic
    """,
    ),
    Log(
        "49",
        "pi4",
        "pi4",
        "2023-01-11",
        """
        bootloader.banner bootloader.board firmware.start_elf kernel.start login.banner login.prompt
    """,
    ),
    Log(
        "50",
        None,
        "rom",
        None,
        """
        kernel.ip_complete kernel.ip_config kernel.ip_servers
    """,
    ),
    Log(
        "51",
        "pi5",
        "pi5",
        "2024-02-16",
        """
        bootloader.banner bootloader.board bootloader.banner bootloader.board bootloader.mode firmware.missing
        firmware.read_file firmware.missing firmware.read_file firmware.bl31 kernel.start kernel.version
        kernel.machine
    """,
    ),
    Log(
        "52",
        None,
        None,
        None,
        """
        kernel.undervoltage kernel.voltage_ok kernel.undervoltage kernel.voltage_ok
    """,
    ),
    Log(
        "54",
        "pi3b",
        "rom",
        None,
        """
        bootloader.banner firmware.read_file firmware.open firmware.mess_start firmware.open firmware.load
        firmware.open firmware.missing firmware.open firmware.load firmware.dtb_loaded uboot.banner uboot.board
        uboot.no_ethernet uboot.autoboot uboot.prompt
    """,
    ),
)


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no collection of console logs at {CORPUS} (set PIBOOT_CORPUS)")
@pytest.mark.parametrize("log", LOGS, ids=[log.number for log in LOGS])
def test_a_real_board_is_read_rightly(log: Log) -> None:
    (path,) = CORPUS.glob(f"{log.number}-*uart*.log")
    told, info = milestones_of(path)
    milestones = [event for event in told if isinstance(event, Milestone)]
    assert hints(milestones) == Hints(log.model, log.family, log.bootloader_date)
    assert [name for name, _ in groupby(milestone.name for milestone in milestones)] == log.names.split()
    assert info.bytes == path.stat().st_size
    times = [milestone.t for milestone in milestones]
    assert times == sorted(times)


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no collection of console logs at {CORPUS} (set PIBOOT_CORPUS)")
def test_no_log_of_the_collection_is_left_out() -> None:
    assert {path.name.split("-")[0] for path in CORPUS.glob("*uart*.log")} == {log.number for log in LOGS}
