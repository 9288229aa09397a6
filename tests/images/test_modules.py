# SPDX-License-Identifier: GPL-2.0-or-later
"""Module trimming: all that is needed, nothing else, and a missing necessity is said before a boot hangs on it."""

import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InfraError
from harness.images.modules import ModuleTree, canonical, install, modinfo, write_index
from tests.images.samples import elf_module, module_tree


@pytest.fixture
def tree(tmp_path: Path) -> ModuleTree:
    return ModuleTree(module_tree(tmp_path / "lib/modules/6.1"))


def names(tree: ModuleTree, *wanted: str) -> set[str]:
    return {module.name for module in tree.closure(wanted)}


def test_names_are_compared_as_the_kernel_does() -> None:
    assert canonical("virtio-rng.ko") == canonical("virtio_rng.ko.xz") == canonical("virtio-rng") == "virtio_rng"


def test_dependencies_come_along_and_no_more(tree: ModuleTree) -> None:
    assert names(tree, "nfsv3") == {"nfsv3", "nfs", "lockd", "sunrpc"}
    assert names(tree, "virtio-net") == {"virtio_net", "net_failover"}
    assert names(tree, "libcrc32c") == {"libcrc32c", "crc32c_special"}  # soft dependencies too


def test_what_this_kernel_lacks_is_left_out_when_only_wanted(tree: ModuleTree) -> None:
    assert names(tree, "crc32_ce", "virtio_net") == {"virtio_net", "net_failover"}


def test_what_a_boot_needs_must_be_there_or_built_in(tree: ModuleTree) -> None:
    assert {m.name for m in tree.closure([], required=["virtio_pci", "lockd"])} == {"lockd", "sunrpc"}
    with pytest.raises(InfraError, match="no module virtio_mmio"):
        tree.closure([], required=["virtio_mmio"])


def test_a_lost_hard_dependency_is_an_error(tree: ModuleTree) -> None:
    (tree.root / "kernel/net/sunrpc/sunrpc.ko").unlink()
    with pytest.raises(InfraError, match="no module sunrpc"):
        ModuleTree(tree.root).closure(["nfs"])


def test_compressed_modules_are_read(tree: ModuleTree) -> None:
    plain = tree.root / "kernel/fs/lockd/lockd.ko"
    plain.with_name("lockd.ko.xz").write_bytes(lzma.compress(plain.read_bytes()))
    plain.unlink()
    assert {m.name for m in ModuleTree(tree.root).closure(["lockd"])} == {"lockd", "sunrpc"}


def test_install_copies_them_and_the_kernels_own_lists(tree: ModuleTree, tmp_path: Path) -> None:
    target = tmp_path / "root/lib/modules/6.1"
    install(tree, tree.closure(["nfs"]), target)
    files = sorted(str(path.relative_to(target)) for path in target.rglob("*.ko"))
    assert files == ["kernel/fs/lockd/lockd.ko", "kernel/fs/nfs/nfs.ko", "kernel/net/sunrpc/sunrpc.ko"]
    assert (target / "modules.builtin").read_text() == (tree.root / "modules.builtin").read_text()
    assert (target / "modules.order").read_text().split() == [
        "kernel/fs/nfs/nfs.ko",
        "kernel/fs/lockd/lockd.ko",
        "kernel/net/sunrpc/sunrpc.ko",
    ]


def test_the_index_names_for_each_module_whom_to_load_last_to_first(tree: ModuleTree, tmp_path: Path) -> None:
    write_index(tree.closure(["nfsv3", "virtio_net"]), tmp_path)
    lines = dict(line.split(":") for line in (tmp_path / "modules.dep").read_text().splitlines())
    needs = [path.rsplit("/", 1)[-1] for path in lines["kernel/fs/nfs/nfsv3.ko"].split()]
    assert needs == ["nfs.ko", "lockd.ko", "sunrpc.ko"]
    assert lines["kernel/net/sunrpc/sunrpc.ko"] == ""
    assert (tmp_path / "modules.alias").read_text().splitlines() == [
        "alias virtio:d00000001v* virtio_net",
        "alias fs-nfs nfs",
    ]


def test_modinfo_reads_the_section() -> None:
    assert modinfo(elf_module("depends=a,b", "novalue", "alias=x=y")) == [("depends", "a,b"), ("alias", "x=y")]


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 300))
def test_modinfo_never_raises_on_a_damaged_file(noise: bytes, at: int, cut: int) -> None:
    good = elf_module("depends=a", "alias=b")
    modinfo(noise)
    modinfo(good[:cut])
    modinfo(good[:at] + noise + good[at + len(noise) :])
