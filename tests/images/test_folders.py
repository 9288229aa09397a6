# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the cache lies: where the caller says, else in the caller's home, also under sudo."""

import os
import pwd
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.images import boot_set, cache_folder, cached, folders, recipe
from harness.images.cache import Store
from tests.images.samples import FakeBuild


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIBOOT_CACHE", "XDG_CACHE_HOME", "SUDO_UID", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)


def test_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/piboot"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/piboot"
    monkeypatch.setenv("PIBOOT_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_under_sudo_in_the_callers_home(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", str(nobody.pw_uid))
    monkeypatch.setenv("XDG_CACHE_HOME", "/root/.cache")  # root's: not the caller's
    assert cache_folder() == Path(nobody.pw_dir) / ".cache/piboot"


@pytest.mark.parametrize("uid", ["", "x", "4000000001", "-5"])
def test_an_odd_sudo_uid_means_oneself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uid: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", uid)
    assert cache_folder() == tmp_path / ".cache/piboot"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root (it gives files to other users)")
def test_under_sudo_new_folders_belong_to_the_caller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setenv("SUDO_UID", str(nobody.pw_uid))
    Store(tmp_path / "a/piboot").get("light", "c3" * 32, FakeBuild(), lambda _line: None)
    place = tmp_path / "a/piboot/images"
    set_folder = next(place.glob("light-*"))
    mine = [
        tmp_path / "a",
        place,
        place / "build.lock",
        set_folder,
        set_folder / "manifest.json",
        set_folder / "boot/kernel8.img",
    ]
    assert {path.stat().st_uid for path in mine} == {nobody.pw_uid}
    assert tmp_path.stat().st_uid == 0  # was there before
    assert (set_folder / "root/etc/hostname").stat().st_uid == 0  # what a Pi's root user owns


def test_a_cache_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfraError, match="cannot be made") as caught:
        folders.make_folder(tmp_path / "file/piboot")
    assert "PIBOOT_CACHE" in caught.value.remedy


def test_a_cached_set_needs_no_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cached("light", cache=tmp_path) is None
    Store(tmp_path).get("light", recipe("light"), FakeBuild(("b=2", "a=1")), lambda _line: None)
    lines: list[str] = []
    found = boot_set("light", cache=tmp_path, progress=lines.append)
    assert lines == []
    assert found == cached("light", cache=tmp_path)
    assert (found.kind, found.kernel_release, found.packages) == ("light", "6.1.0-50-arm64", ("b=2", "a=1"))
    assert (found.boot / "kernel8.img").exists()
    assert (found.root / "etc/hostname").exists()
    monkeypatch.setenv("PIBOOT_CACHE", str(tmp_path))
    assert boot_set("light") == found
