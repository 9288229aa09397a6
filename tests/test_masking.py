# SPDX-License-Identifier: GPL-2.0-or-later
"""Secrets of kernel command lines: found in every form, wherever a console cuts them, and nothing else is touched."""

import pytest

from harness.masking import Masker, masked

SECRET = "AQD/3+ab12=="  # noqa: S105 - made up

LINES = [
    "console=serial0,115200 iscsi_username=pi iscsi_password={} iscsi_target_ip=10.77.0.1 root=/dev/sda rw",
    "iscsi_in_password={}",
    "rd.iscsi.password={} rd.iscsi.in.password={} quiet",
    "boot=rbd rbdroot=10.77.0.3:pi:{}:rbd:91cdf03d::noatime ip=dhcp",
    "root=rbd:10.77.0.3:pi:{}:rbd:91cdf03d",
    "netroot=iscsi:pi:{}@10.77.0.1::3260:1:iqn.2026-01.lab:x",
    "root=iscsi:pi:{}@10.77.0.1:6:3260:1:iqn.2026-01.lab:x root=/dev/sda",
    "10.77.0.3:6789 name=pi,secret={},ms_mode=crc rbd 91cdf03d",
]


@pytest.mark.parametrize("line", LINES)
def test_a_secret_becomes_asterisks_of_the_same_length(line: str) -> None:
    assert masked(line.replace("{}", SECRET)) == line.replace("{}", "*" * len(SECRET))


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_nor_does_it_come_through_in_pieces(line: str, size: int) -> None:
    """Of a console, whose reads end anywhere."""
    data = f"[    0.0] Kernel command line: {line.replace('{}', SECRET)}\r\n".encode()
    masker = Masker()
    said = b"".join(masker.feed(data[at : at + size]) for at in range(0, len(data), size))
    assert len(said) == len(data)
    assert SECRET.encode() not in said
    assert said.decode() == masked(data.decode())


@pytest.mark.parametrize(
    "line",
    [
        "root=/dev/nfs nfsroot=10.77.0.1:/srv/nfs/91cdf03d,vers=3,tcp rw ip=dhcp",
        "root=iscsi:10.77.0.1::3260:1:iqn.2026-01.lab:x",
        "Password: ",
        "netboot-2f login: root",
        "iscsi: registered transport (tcp)",
        "",
    ],
)
def test_other_words_stay(line: str) -> None:
    assert masked(line) == line
    assert Masker().feed(line.encode()) == line.encode()
