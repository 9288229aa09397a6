# SPDX-License-Identifier: GPL-2.0-or-later
"""An initramfs for other roots: a boot set's own with something behind it, as the kernel takes it."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HarnessBug, InfraError
from harness.images import BootSet, cpio, flavours
from harness.images.flavours import Flavour, with_initramfs
from tests.images.samples import module_tree

RELEASE = "6.1.0-50-arm64"
INDEX = f"lib/modules/{RELEASE}/modules.dep"


def unpacked(data: bytes) -> dict[str, bytes]:
    """Files and folders after all archives in `data`, one laid over the other; a folder's content is b""."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        assert data[at : at + 6] == b"070701", f"neither padding nor an archive at {at}"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name = data[at + 110 : at + 109 + fields[11]].decode()
        start = at + 110 + fields[11] + -(110 + fields[11]) % 4
        found[name] = data[start : start + fields[6]]
        at = start + fields[6] + -fields[6] % 4
    return found


@pytest.fixture
def light(tmp_path: Path) -> BootSet:
    """A light boot set whose initramfs has a module of its own and none for NFS v3."""
    boot, root, work = tmp_path / "boot", tmp_path / "root", tmp_path / "work"
    module_tree(root / "lib/modules" / RELEASE)
    own = work / "lib/modules" / RELEASE
    (own / "kernel/fs/lockd").mkdir(parents=True)
    (own / "kernel/fs/lockd/lockd.ko").write_text("its own copy")
    (own / "modules.dep").write_text("kernel/usb/card.ko: kernel/usb/bus.ko\nkernel/fs/lockd/lockd.ko:\n")
    (own / "modules.alias").write_text("alias usb:card card\n")
    boot.mkdir()
    (boot / "initramfs8").write_bytes(cpio.archive(work))
    return BootSet("light", "0123", boot, root, RELEASE, ())


@pytest.fixture
def nfs3(monkeypatch: pytest.MonkeyPatch) -> None:
    more = Flavour(modules=("nfsv3",), programs={"nfsmount": "#!/bin/sh\n"}, sources=("nfs4.py",))
    monkeypatch.setitem(flavours.FLAVOURS, "more", more)


def test_the_usual_initramfs_stays_the_boot_sets_own(light: BootSet, tmp_path: Path) -> None:
    assert with_initramfs(light, "nfs", cache=tmp_path / "cache") == light
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("nfs3")
def test_a_flavour_adds_programs_and_the_modules_that_lack(light: BootSet, tmp_path: Path) -> None:
    made = with_initramfs(light, "more", cache=tmp_path / "cache").initramfs
    assert made is not None
    data = made.read_bytes()
    assert data.startswith((light.boot / "initramfs8").read_bytes())
    files = unpacked(data)
    assert files["bin/nfsmount"] == b"#!/bin/sh\n"
    assert f"lib/modules/{RELEASE}/kernel/fs/nfs/nfsv3.ko" in files
    assert files[f"lib/modules/{RELEASE}/kernel/fs/lockd/lockd.ko"] == b"its own copy"
    index = files[INDEX].decode().splitlines()
    assert "kernel/usb/card.ko: kernel/usb/bus.ko" in index
    (line,) = [line for line in index if line.startswith("kernel/fs/nfs/nfsv3.ko:")]
    assert set(line.split()[1:]) == {
        f"kernel/{path}.ko" for path in ("fs/nfs/nfs", "fs/lockd/lockd", "net/sunrpc/sunrpc")
    }
    aliases = files[INDEX.replace(".dep", ".alias")].decode().splitlines()
    assert {"alias usb:card card", "alias fs-nfs nfs"} <= set(aliases)


@pytest.mark.usefixtures("nfs3")
def test_debians_initramfs_keeps_its_links_into_usr(light: BootSet, tmp_path: Path) -> None:
    debian = replace(light, kind="debian")
    (debian.boot / "initramfs8").write_bytes(b"\x28\xb5\x2f\xfd compressed")
    made = with_initramfs(debian, "more", cache=tmp_path / "cache").initramfs
    assert made is not None
    added = made.read_bytes()[512:]
    assert set(unpacked(added)) == {".", "usr", "usr/bin", "usr/bin/nfsmount", "TRAILER!!!"}


@pytest.mark.usefixtures("nfs3")
def test_a_flavour_is_made_once_for_a_boot_set(light: BootSet, tmp_path: Path) -> None:
    first = with_initramfs(light, "more", cache=tmp_path / "cache")
    (light.boot / "initramfs8").unlink()  # it cannot be made again
    assert with_initramfs(light, "more", cache=tmp_path / "cache") == first
    with pytest.raises(InfraError, match="more"):
        with_initramfs(replace(light, key="of another build"), "more", cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache/initramfs").iterdir())) == 1


def test_an_unknown_flavour_is_our_mistake(light: BootSet) -> None:
    with pytest.raises(HarnessBug, match="no initramfs 'zfs'"):
        with_initramfs(light, "zfs")
