# SPDX-License-Identifier: GPL-2.0-or-later
"""The private apt: state of its own, the mirror as asked for, and no file taken that the archive did not sign."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.images import apt
from harness.images.apt import Package, PrivateApt, mirror, parse_uris

GOOD = b"a package's bytes"
DIGEST = hashlib.sha256(GOOD).hexdigest()
FILE = "busybox-static_1%3a1.35.0-4_arm64.deb"
LISTING = (
    f"'http://deb.debian.org/debian/pool/main/b/busybox/busybox-static_1.35.0-4_arm64.deb' {FILE} 17 SHA256:{DIGEST}\n"
)


class FakeArchive:
    """Stands for the apt programs: remembers what was run, `download` writes the package unless it lies there."""

    def __init__(self, listing: str = LISTING, depends: str = "") -> None:
        self.listing = listing
        self.depends = depends
        self.ran: list[list[str]] = []

    def __call__(self, argv: Sequence[str | Path], _what: str, **_options: object) -> str:
        words = [str(word) for word in argv]
        self.ran.append(words)
        if "--print-uris" in words:
            return self.listing
        if "depends" in words:
            return self.depends
        if words[0] == "env" and self.listing:
            target = Path(words[1].removeprefix("--chdir=")) / FILE
            if not target.exists():
                target.write_bytes(GOOD)
        return ""


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> FakeArchive:
    fake = FakeArchive()
    monkeypatch.setattr(apt, "run", fake)
    return fake


def test_the_mirror_is_debians_or_the_environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PIBOOT_DEBIAN_MIRROR", raising=False)
    assert mirror() == "http://deb.debian.org/debian"
    monkeypatch.setenv("PIBOOT_DEBIAN_MIRROR", "http://mirror.lab/debian/")
    source = PrivateApt(tmp_path).sources.read_text()
    assert " http://mirror.lab/debian bookworm main non-free-firmware\n" in source
    assert "arch=arm64" in source
    assert "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg" in source


def test_the_machines_own_apt_is_left_alone(tmp_path: Path) -> None:
    options = " ".join(PrivateApt(tmp_path).options())
    assert "/var/lib" not in options
    assert "/etc/apt" not in options
    for place in ("Dir::State::lists", "Dir::State::status", "Dir::Cache", "Dir::Etc::sourcelist"):
        assert f"-o{place}={tmp_path}" in options
    assert "-oDir::Etc::sourceparts=/dev/null" in options


def test_a_download_tells_versions_and_drops_older_ones(archive: FakeArchive, tmp_path: Path) -> None:
    debs = tmp_path / "debs"
    debs.mkdir()
    (debs / "busybox-static_1.30_arm64.deb").write_bytes(b"old")
    (debs / "busybox_1.30_arm64.deb").write_bytes(b"another package")
    got = PrivateApt(tmp_path / "apt").download(["busybox-static"], debs)
    assert got == {"busybox-static": Package("busybox-static", "1:1.35.0-4", debs / FILE)}
    assert str(got["busybox-static"]) == "busybox-static=1:1.35.0-4"
    assert sorted(path.name for path in debs.iterdir()) == sorted(["busybox_1.30_arm64.deb", FILE])


@pytest.mark.parametrize("content", [b"", b"a package's bit5", b"a package's bytez"])
def test_a_damaged_file_of_an_earlier_build_is_got_again(archive: FakeArchive, tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    got = PrivateApt(tmp_path / "apt").download(["busybox-static"], tmp_path)
    assert got["busybox-static"].deb.read_bytes() == GOOD


def test_no_file_is_an_error(archive: FakeArchive, tmp_path: Path) -> None:
    archive.listing = ""
    with pytest.raises(InfraError, match="no file for busybox-static") as caught:
        PrivateApt(tmp_path / "apt").download(["busybox-static"], tmp_path)
    assert "PIBOOT_DEBIAN_MIRROR" in caught.value.remedy


def test_other_lines_of_apt_are_not_packages() -> None:
    assert parse_uris(f"W: a warning\n\nN: SHA256: is spoken of\n{LISTING}") == {FILE: DIGEST}


def test_the_kernel_behind_its_name(archive: FakeArchive, tmp_path: Path) -> None:
    archive.depends = "linux-image-arm64\n  Depends: linux-image-6.1.0-50-arm64\n  Suggests: linux-image-x\n"
    assert PrivateApt(tmp_path).depends("linux-image-arm64", "linux-image-") == "linux-image-6.1.0-50-arm64"
    archive.depends = "linux-image-arm64\n"
    with pytest.raises(InfraError, match="depends on no linux-image-"):
        PrivateApt(tmp_path).depends("linux-image-arm64", "linux-image-")


def test_a_proxy_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    dump = 'Acquire "";\nAcquire::http::Proxy "http://proxy:3142";\nAcquire::https::Proxy "";\nAcquire::Retries "3";\n'
    monkeypatch.setattr(apt, "run", lambda *_args, **_options: dump)
    assert apt.host_acquire_options() == ['Acquire::http::Proxy "http://proxy:3142";']
