# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's own files in its copy of an image, and what an RBD diff makes of them; what tgt and Ceph are configured with."""

import shutil
import struct
import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest

from harness.errors import InfraError
from harness.servers.image_files import copy_image, differences, put_files
from harness.servers.rbd_roots import _diff
from harness.servers.services.ceph import Cluster, new_key
from harness.servers.services.service import render
from harness.servers.services.tgt import Disk, Tgt

needs_e2fsprogs = pytest.mark.skipif(shutil.which("debugfs") is None, reason="e2fsprogs is not installed")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    root, made = tmp_path / "root", tmp_path / "an image"
    (root / "etc").mkdir(parents=True)
    (root / "etc/fstab").write_text("old\n")
    made.write_bytes(b"")
    subprocess.run(["mke2fs", "-q", "-F", "-b", "4096", "-d", root, made, "8M"], check=True)
    return made


def content(image: Path, name: str) -> str:
    return subprocess.run(["debugfs", "-R", f"cat {name}", image], capture_output=True, text=True, check=True).stdout


@needs_e2fsprogs
def test_files_are_put_into_a_copy_and_the_image_stays(image: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "one"
    copy_image(image, copy)
    put_files(copy, {"etc/fstab": "new\n", "etc/added": "more\n"})
    assert [content(copy, name) for name in ("etc/fstab", "etc/added")] == ["new\n", "more\n"]
    assert content(image, "etc/fstab") == "old\n"
    subprocess.run(["e2fsck", "-fn", copy], capture_output=True, check=True)
    pieces = differences(image, copy)
    assert pieces
    assert all(offset % 4096 == 0 and len(data) == 4096 for offset, data in pieces)
    # What differs makes the one of the other.
    with image.open("r+b") as file:
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
    assert image.read_bytes() == copy.read_bytes()


@needs_e2fsprogs
def test_folders_on_the_way_are_made(image: Path) -> None:
    put_files(image, {"etc/iscsi/more/name": "x\n", "top": "y\n"})
    assert [content(image, name) for name in ("etc/iscsi/more/name", "top")] == ["x\n", "y\n"]
    subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=True)


@needs_e2fsprogs
def test_a_file_that_cannot_be_put_there_is_an_error(image: Path) -> None:
    with pytest.raises(InfraError, match="could not be written into an image"):
        put_files(image, {"etc/fstab/under": "x"})


def test_an_image_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match=r"copying absent: cp ended with 1: .*No such file"):
        copy_image(tmp_path / "absent", tmp_path / "to")


def test_an_rbd_diff_says_the_size_and_what_is_written_where() -> None:
    """doc/dev/rbd-diff.rst of Ceph, format v1."""
    assert _diff(8192, [(4096, b"abc")]) == (
        b"rbd diff v1\n" + b"s" + struct.pack("<Q", 8192) + b"w" + struct.pack("<QQ", 4096, 3) + b"abc" + b"e"
    )


def test_a_cephx_key_is_of_the_form_that_ceph_takes() -> None:
    key = new_key()
    assert len(key) == 40
    assert key != new_key()
    assert ":" not in key, "it stands between colons on the command line"


def test_ceph_is_configured_without_its_keys(tmp_path: Path) -> None:
    keeper = Mock()
    keeper.spawn.return_value = Mock(returncode=0, ended=Mock(return_value=True))
    cluster = Cluster(keeper, "ceph", tmp_path / "logs", tmp_path / "data", "10.77.0.3/24", key="AQkey==")
    cluster.write()
    text = cluster.config.read_text()
    for words in (
        "mon_host = [v2:10.77.0.3:3300,v1:10.77.0.3:6789]",
        "public_network = 10.77.0.0/24",
        f"fsid = {cluster.fsid}",
    ):
        assert words in text
    assert "AQkey==" not in text
    assert "[client.pi]\nkey = AQkey==" in cluster.keyring.read_text()
    before = cluster.keyring.read_text()
    cluster.write()
    assert cluster.keyring.read_text() == before, "a restarted daemon finds the cluster that it knows"


def test_tgt_is_configured_without_its_secrets(tmp_path: Path) -> None:
    disks = [Disk("iqn.x:1", tmp_path / "a disk", "1", "hush"), Disk("iqn.x:2", tmp_path / "open")]
    tgt = Tgt(Mock(), "server", tmp_path, address="10.77.0.1", disks=disks, secrets=tmp_path / "chap")
    text = tgt.render()
    assert "hush" not in text
    assert f'<target iqn.x:1>\n    backing-store "{tmp_path}/a disk"\n' in text
    assert text.count("include ") == 1
    assert (tmp_path / "chap/1.conf").read_text() == "incominguser 1 hush\n"
    # Boards are let in once the targets are there.
    assert tgt.command()[-1] == "portal=127.0.0.1:3260"


def test_a_proxy_gives_no_addresses_and_a_routers_kea_no_word_of_netboot() -> None:
    proxy = {
        "interface": "eth0",
        "network": "10.77.0.0",
        "boot_option_43": True,
        "menu": "Raspberry Pi Boot",
        "tftp_root": "/t",
    }
    text = render("dnsmasq-proxy.conf", {**proxy, "extra": ["log-debug"]})
    assert "\ndhcp-range=10.77.0.0,proxy\n" in text
    assert 'pxe-service=0,"Raspberry Pi Boot"' in text
    assert text.endswith("log-debug\n")
    assert "pxe-service" not in render("dnsmasq-proxy.conf", {**proxy, "boot_option_43": False, "extra": []})
    values = dict.fromkeys(("interface", "leases", "subnet", "first", "last", "lease", "router"), "x")
    kea = render("kea-router.conf", values)
    assert "PXE" not in kea
    assert "tftp" not in kea
