# SPDX-License-Identifier: GPL-2.0-or-later
"""FAT images: of the tests' own maker, of mkfs.vfat and mtools, and of nobody in their right mind."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.emulator.fatdisk import open_disk
from tests.emulator.fatimage import image, partitioned

FILES = {
    "config.txt": b"os_check=0\n",
    "kernel_2712.img": bytes(range(256)) * 300,
    "overlays/vc4-kms-v3d-pi5.dtbo": b"overlay",
    "overlays/deeper/a name with spaces.txt": b"",
}


@pytest.mark.parametrize("kind", [12, 16, 32])
@pytest.mark.parametrize("wrapped", [False, True])
def test_files_of_every_kind(kind: int, wrapped: bool):
    system = image(FILES, kind)
    disk = open_disk(partitioned(system) if wrapped else system)
    assert disk is not None
    assert disk.kind == kind
    for path, data in FILES.items():
        assert disk.read(path) == data
    assert disk.read("//OVERLAYS//VC4-kms-v3d-pi5.DTBO") == b"overlay"


@pytest.mark.parametrize("path", ["", "/", "nothing", "overlays", "config.txt/x", "overlays/nothing", "../config.txt"])
def test_what_is_no_file_is_not_there(path: str):
    disk = open_disk(image(FILES))
    assert disk is not None
    assert disk.read(path) is None


def test_ring_of_clusters_and_a_size_beyond_the_chain_end():
    system = bytearray(image({"a.txt": b"x" * 2000}))
    struct.pack_into("<H", system, 512 + 2 * 2, 2)  # cluster 2 follows itself
    disk = open_disk(bytes(system))
    assert disk is not None
    assert len(disk.read("a.txt") or b"") == 2000
    struct.pack_into("<H", system, 512 + 2 * 2, 0xFFFF)  # the chain ends after one cluster
    disk = open_disk(bytes(system))
    assert disk is not None
    assert disk.read("a.txt") is None


@pytest.mark.parametrize("data", [b"", b"\0" * 512, b"\xff" * 4096, b"\0" * 510 + b"\x55\xaa"])
def test_no_file_system(data: bytes):
    assert open_disk(data) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 255)), max_size=40), st.integers(0, 60_000))
def test_damaged_image_never_raises(damage: list[tuple[int, int]], keep: int):
    system = bytearray(SMALL)
    for at, value in damage:
        system[at % 2048 if at & 1 else at] = value
    disk = open_disk(bytes(system[: max(keep, 600)]))
    if disk is not None:
        for path in FILES:
            disk.read(path)


SMALL = image(FILES, 12)


@pytest.mark.skipif(not shutil.which("mkfs.vfat"), reason="needs mkfs.vfat: apt install dosfstools")
@pytest.mark.skipif(not shutil.which("mcopy"), reason="needs mcopy: apt install mtools")
@pytest.mark.parametrize(("kind", "kib"), [(12, 2048), (16, 20480), (32, 40960)])
def test_image_of_the_usual_tools(kind: int, kib: int, tmp_path: Path):
    path = tmp_path / "boot.img"
    subprocess.run(["mkfs.vfat", "-C", "-F", str(kind), str(path), str(kib)], check=True, capture_output=True)
    for name, data in FILES.items():
        source = tmp_path / "source" / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(data)
    copied = ["mcopy", "-s", "-i", str(path), *map(str, sorted((tmp_path / "source").iterdir())), "::"]
    subprocess.run(copied, check=True, capture_output=True)
    disk = open_disk(path.read_bytes())
    assert disk is not None
    for name, data in FILES.items():
        assert disk.read(name) == data
