# SPDX-License-Identifier: GPL-2.0-or-later
"""The cpio archive, read back by another implementation and by a reader of our own from the format's text."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.images.cpio import archive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_bytes(b"#!/bin/sh\n")
    (root / "bin/tool").chmod(0o755)
    (root / "sbin").symlink_to("bin")
    (root / "empty").write_bytes(b"")
    (root / "odd name").write_bytes(b"abc")
    return root


def read(data: bytes) -> dict[str, tuple[int, bytes]]:
    """name → (mode, content), by the text of buffer-format.rst."""
    found, at = {}, 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + i * 8 : at + 14 + i * 8], 16) for i in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + length - 1].decode()
        start = (at + 110 + length + 3) & ~3
        if name == "TRAILER!!!":
            return found
        assert fields[2:4] == [0, 0]  # owner
        found[name] = (mode, data[start : start + size])
        at = (start + size + 3) & ~3


def test_holds_files_folders_and_links_owned_by_root(folder: Path) -> None:
    found = read(archive(folder))
    assert found["bin/tool"] == (0o100755, b"#!/bin/sh\n")
    assert found["sbin"] == (0o120777, b"bin")
    assert found["empty"][1] == b""
    assert list(found) == [".", "bin", "bin/tool", "empty", "odd name", "sbin"]


def test_is_the_same_each_time(folder: Path) -> None:
    first = archive(folder)
    os.utime(folder / "empty", (1, 1))
    assert archive(folder) == first
    assert len(first) % 512 == 0


def test_cpio_unpacks_it(folder: Path, tmp_path: Path) -> None:
    if shutil.which("cpio") is None:
        pytest.skip("cpio is not installed")
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["cpio", "-idm", "--quiet", "--no-preserve-owner"], cwd=out, input=archive(folder), check=True)
    assert (out / "sbin/tool").read_bytes() == b"#!/bin/sh\n"
    assert os.access(out / "bin/tool", os.X_OK)


def test_a_kind_that_an_initramfs_of_ours_never_holds_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ValueError, match="pipe"):
        archive(folder)
