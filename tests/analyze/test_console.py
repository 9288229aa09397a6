# SPDX-License-Identifier: GPL-2.0-or-later
"""Console logs as people have them: cut, interleaved, coloured, of any size, of several boots."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analyze import OUTCOMES, BoardSeen, analyze, consoles
from harness.analyze.text import blocks
from harness.errors import ConfigError
from tests.analyze.packets import names

PI5 = """\
  0.91 RPi: BOOTSYS release VERSION:0123abcd DATE: 2025/03/27 TIME: 10:11:12
  0.92 BOOTMODE: 0x06 partition 0 build-ts BUILD_TIMESTAMP=1743070272 serial 0badcafe boardrev d04170 stc 921000
  4.18 RPi: BOOTLOADER release VERSION:0123abcd DATE: 2025/03/27 TIME: 10:11:12
  7.61 Boot mode: NETWORK (02) order f
  7.12 NETWORK: 88:a2:9e:0b:ad:01 wait for link TFTP: 0.0.0.0
 10.30 LINK STATUS: speed: 1000 full duplex
 10.31 Link ready
 11.04 DHCP src: 02:00:00:00:00:01 10.9.0.1
 11.05 YI_ADDR 10.9.0.77
 11.05 OPTIONS:-
\top: 53 len:   1 DHCP recv OFFER (2) expect OFFER 11.05
\top: 66 len:   8 10.9.0.1[66]: 10.9.0.1
 11.40 DHCP src: 02:00:00:00:00:01 10.9.0.1
\top: 53 len:   1 DHCP recv ACK (5) expect ACK 11.40
 11.41 NET 10.9.0.77 255.255.255.0 gw 0.0.0.0 tftp 10.9.0.1
 11.43 ARP 10.9.0.1 02:00:00:00:00:01
 11.44 TFTP_GET: 02:00:00:00:00:01 10.9.0.1 0badcafe/config.txt
 11.50 Read 0badcafe/config.txt bytes      120 hnd 0x0
 11.51 TFTP_GET: 02:00:00:00:00:01 10.9.0.1 0badcafe/pieeprom.sig
 11.52 TFTP 1: Fichier introuvable
 12.90 MESS:00:00:12.903311:0: Starting OS 12903 ms
NOTICE:  BL31: v2.6(release):v2.6-240-g0123456789
[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x414fd0b1]
[    0.000000] Linux version 6.12.0-v8-16k (build@host) #1 SMP
"""

SYSTEM = """\
[    2.100000] Run /init as init process
Loading, please wait...
Begin: Mounting root file system ... Begin: Running /scripts/nfs-premount ... done.
Begin: Running /scripts/nfs-bottom ... done.
[    9.000000] systemd[1]: systemd 257.1 running in system mode (+PAM)

Debian GNU/Linux 13 testpi ttyAMA10

testpi login: """

BOOTCODE = """\
Raspberry Pi Bootcode
USB ethernet boot
Initialise ethernet with MAC b8:27:eb:0a:0b:0c
Wait for Link up
Link up
Sending DHCP request
"""


def read(folder: Path, text: str | bytes) -> BoardSeen:
    path = folder / "some file"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    (board,) = analyze([path])
    assert board.outcome in OUTCOMES
    return board


def test_a_pi_5_that_boots_from_the_network(tmp_path: Path) -> None:
    board = read(tmp_path, PI5 + SYSTEM)
    assert (board.model, board.model_certain, board.bootloader_date) == ("pi5", True, "2025-03-27")
    assert (board.serial_number, board.revision, board.mac) == ("0badcafe", "d04170", "88:a2:9e:0b:ad:01")
    assert (board.outcome, board.failed_stage, board.boots) == ("login", None, 1)
    assert names(board.stages) == ["link", "dhcp", "firmware", "kernel", "initramfs", "root", "userspace", "login"]
    (dhcp,) = board.dhcp
    assert (dhcp.source, dhcp.result, dhcp.address, dhcp.tftp_server) == ("console", "ack", "10.9.0.77", "10.9.0.1")
    assert dhcp.types == ("OFFER", "ACK")
    assert [(file.path, file.result, file.normal) for file in board.tftp] == [
        ("0badcafe/config.txt", "complete", False),
        ("0badcafe/pieeprom.sig", "not found", True),
    ]
    assert board.tftp[1].error_text == "Fichier introuvable"
    times = [stage.t for stage in board.stages if stage.t is not None]
    assert times == sorted(times)


@pytest.mark.parametrize("cut", range(0, len(PI5), 97))
def test_wherever_a_log_ends_it_is_judged(tmp_path: Path, cut: int) -> None:
    text = PI5[:cut]
    if "RPi: BOOTSYS release VERSION:0123abcd DATE: 2025/03/27" not in text:
        return
    board = read(tmp_path, text)
    expected = "unknown"
    for mark, outcome in (
        (" wait for link TFTP: 0", "waiting(link)"),
        ("1000 full duplex", "link"),
        ("Link ready", "waiting(dhcp)"),
        ("recv ACK (5) expect ACK", "dhcp"),
        ("TFTP_GET: 02:00:00:00:00:01 10.9.0.1 0", "firmware"),
        ("Booting Linux on physical CPU 0x0", "kernel"),
    ):
        if mark in text:
            expected = outcome
    assert board.outcome == expected


BEFORE_ROOT = SYSTEM.split("Begin: Running /scripts/nfs-bottom", maxsplit=1)[0]
NO_ROOT = "[    2.286557] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,255)\n"
NO_TREE = "MESS:00:00:05.605000:0: dterror: Failed to load Device Tree file 'bcm2711-rpi-4-b.dtb'\n"


def until(mark: str) -> str:
    return PI5.split(mark, maxsplit=1)[0]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (BOOTCODE, "waiting(dhcp)"),
        (BOOTCODE.replace("Link up\nSending DHCP request", "Failed to initialise link"), "failed(link)"),
        (until(" 11.44") + " 11.44 TFTP: disconnect: timeouts 1\nNETBOOT init failed\n", "failed(firmware)"),
        (until(" 11.04") + "Stopping network\nNETBOOT init failed\nBoot mode: SD (00) order f\n", "failed(dhcp)"),
        (until(" 12.90") + "Firmware not found\n", "failed(firmware)"),
        (PI5 + "[    1.0] x\n[    1.500000] Kernel panic - not syncing: Attempted to kill init!\n", "failed(kernel)"),
        (PI5 + NO_ROOT, "failed(root)"),
        (PI5 + BEFORE_ROOT + "(initramfs) ", "failed(root)"),
        (PI5 + BEFORE_ROOT + "Begin: Retrying nfs mount ... done.\n", "waiting(root)"),
        (PI5 + SYSTEM.split("\nDebian", maxsplit=1)[0] + "\nYou are in emergency mode.\n", "failed(userspace)"),
        (PI5 + SYSTEM + "root\nPassword: \nLogin incorrect\ntestpi login: ", "failed(login)"),
        (PI5 + SYSTEM + "root\nroot@testpi:~# ", "login"),
        (until("[    0.0") + "U-Boot 2025.01 (Jan 06 2025)\nU-Boot> ", "u-boot"),
        (until("[    0.0") + NO_TREE + "brfs: File read: 9000 bytes\n", "waiting(kernel)"),
        (until("[    0.0") + NO_TREE + "U-Boot 2025.01 (Jan 06 2025)\nU-Boot> ", "u-boot"),
        (PI5.replace("[    0.0", NO_TREE + "[    0.0", 1) + SYSTEM, "login"),
    ],
)  # fmt: skip
def test_outcomes(tmp_path: Path, text: str, outcome: str) -> None:
    board = read(tmp_path, text)
    assert board.outcome == outcome
    assert (board.failed_stage or "") == (outcome[7:-1] if outcome.startswith("failed") else "")
    if board.failed_stage is not None:
        assert board.reason
        assert board.findings


def test_dirt_of_a_serial_line_changes_nothing(tmp_path: Path) -> None:
    clean = read(tmp_path, PI5 + SYSTEM)
    lines = (PI5 + SYSTEM).splitlines()
    dirty = b"\0\0\xff\xfe" + b"\r\n".join(b"\x1b[0;1;39m" + line.encode() + b"\x1b[0m\0" for line in lines[:-1])
    dirty += b"\r\n\x1b[2K" + lines[-1].encode()
    board = read(tmp_path, dirty)
    assert board.outcome == clean.outcome
    assert names(board.stages) == names(clean.stages)
    assert [file.path for file in board.tftp] == [file.path for file in clean.tftp]


def test_several_records_in_one_line_missing_prefixes_and_syslog(tmp_path: Path) -> None:
    text = (
        "MESS:00:00:07.146055:0:[    0.000000] Booting Linux on physical CPU 0x0 [0x410fd083][    0.000000] Linux version 6.1 x"
        "\nNov 28 19:24:36 pi kernel: [    8.744701] VFS: Mounted root (nfs filesystem) on device 0:19.\n"
    )
    board = read(tmp_path, text)
    assert (board.outcome, board.family) == ("root", "bcm2711")


def test_the_newest_boot_counts(tmp_path: Path) -> None:
    board = read(tmp_path, (PI5 + SYSTEM + "\n") * 2 + until(" 10.30"))
    assert (board.boots, board.earlier, board.outcome) == (3, ("login", "login"), "waiting(link)")
    assert board.model == "pi5"


def test_a_board_that_restarts_in_its_own_loop(tmp_path: Path) -> None:
    first = PI5.splitlines(keepends=True)[0]
    assert read(tmp_path, first * 4).boots == 4


@pytest.mark.gear  # long
def test_a_large_log_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consoles, "CHUNK", 1 << 13)
    path = tmp_path / "large"
    block = (PI5 + SYSTEM + "\n") + "[   20.000000] audit: some line of the running system\n" * 100
    path.write_text(block * 40)
    analyze([path])  # imports and caches are not what is measured
    tracemalloc.start()
    (board,) = analyze([path])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (board.boots, board.outcome) == (40, "login")
    assert peak < path.stat().st_size, f"{peak} octets for a file of {path.stat().st_size}"


def test_one_endless_line(tmp_path: Path) -> None:
    assert read(tmp_path, PI5 + "x" * 3_000_000).outcome == "kernel"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\x1f\x8b\x08\0\0", "gzip"),
        (b"\x28\xb5\x2f\xfd....", "zstd"),
        (b"PK\x03\x04....", "zip"),
        (bytes(range(256)) * 100, "binary data"),
        (b"just some words\nof somebody\n", "no line of it"),
        ("Grüße\n".encode("latin-1"), "no line of it"),
    ],
)
def test_other_files_are_refused_and_told_what_is_read(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "capture.pcap"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        analyze([path])
    assert "pcapng" in caught.value.remedy
    assert str(path) in caught.value.place


def test_folders_and_absent_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folder"):
        analyze([tmp_path])
    with pytest.raises(ConfigError, match="No such file"):
        analyze([tmp_path / "gone"])
    with pytest.raises(ConfigError, match="not a regular file"):
        analyze([Path("/dev/zero")])
    with pytest.raises(ConfigError, match="no file"):
        analyze([])


def test_hostile_text_does_not_reach_the_terminal(tmp_path: Path) -> None:
    evil = PI5.replace("Fichier introuvable", "\x1b]0;owned\x07\x1b[31m\u202eevil\x9b2J")
    path = tmp_path / "name\x1b[31m"
    path.write_text(evil)
    text = blocks(analyze([path]))
    assert not [char for char in text if char != "\n" and not char.isprintable()]
    assert "evil" in text


@settings(deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PI5.splitlines() + SYSTEM.splitlines()), st.text(max_size=60)), max_size=40))
def test_any_order_of_lines_is_judged(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "mixed"
    path.write_bytes("\n".join([*lines, PI5.splitlines()[0]]).encode("utf-8", "surrogatepass"))
    for board in analyze([path]):
        assert board.outcome in OUTCOMES
        assert blocks([board])
