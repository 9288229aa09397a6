# SPDX-License-Identifier: GPL-2.0-or-later
"""`image:` of an emulated server, and --image; what `piboot check` says of it."""

import os
from pathlib import Path

import pytest

from harness.checks import run_checks
from harness.config import EmulatedServer, LabConfig, load, loads
from harness.config.adapting import adapted
from harness.errors import ConfigError, HarnessError
from tests.config.samples import GOOD, changed
from tests.config.test_checks import Machine, failed, named


def lab_with(server: str, folder: Path) -> LabConfig:
    path = folder / "lab.yaml"
    path.write_text(changed("s: {kind: emulated}", f"s: {{kind: emulated, {server}}}"))
    return load(path)


def image_of(lab: LabConfig) -> str | None:
    (server,) = lab.servers.values()
    assert isinstance(server, EmulatedServer)
    return server.image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "images" / "own.img"
    path.parent.mkdir()
    path.write_bytes(bytes(512))
    return path


def test_it_is_looked_for_in_the_folder_of_the_lab(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert image_of(lab_with("image: images/own.img", tmp_path)) == str(image)
    assert image_of(lab_with(f"image: {image}", tmp_path)) == str(image)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert image_of(lab_with("image: ~/images/own.img", tmp_path)) == str(image)


@pytest.mark.parametrize(
    ("server", "what", "instead"),
    [
        ("image: gone.img", "gone.img' is not there", "lab.yaml's folder"),
        ("image: images", "images' is a folder", "name an image's file"),
        ("image: pipe", "pipe' is no regular file", "name an image's file"),
        ("image: images/own.img, root: light", "the boards boot the image", "remove root: or image:"),
    ],
)
@pytest.mark.usefixtures("image")
def test_what_cannot_be_an_image_is_told_with_its_place(server: str, what: str, instead: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError) as raised:
        lab_with(server, tmp_path)
    said = str(raised.value)
    assert f"{tmp_path / 'lab.yaml'}:6:" in said
    assert what in said
    assert instead in said


def test_the_command_line_takes_the_place_of_the_lab_s_root(image: Path, tmp_path: Path) -> None:
    assert image_of(adapted(loads(GOOD), image=image)) == str(image)
    lab = lab_with("image: images/own.img", tmp_path)
    assert image_of(adapted(lab, root="light")) is None
    assert image_of(adapted(lab, topology="dnsmasq-iscsi")) == str(image)


def test_the_command_line_is_checked(image: Path) -> None:
    with pytest.raises(ConfigError, match="--root and --image exclude each other"):
        adapted(loads(GOOD), root="light", image=image)
    gone = image.with_name("gone.img")
    with pytest.raises(ConfigError, match=r"gone.img is not there") as raised:
        adapted(loads(GOOD), image=gone)
    assert raised.value.place == "--image"
    with pytest.raises(ConfigError, match="is a folder"):
        adapted(loads(GOOD), image=image.parent)


class WithImage(Machine):
    """A machine that says of an image what a test wants."""

    said: bool | HarnessError = True

    def image_is_laid_out(self, image: str) -> bool | HarnessError:
        assert image.endswith("/own.img")
        return self.said


def machine(said: bool | HarnessError, **missing: frozenset[str]) -> WithImage:
    made = WithImage(**missing)
    made.said = said
    return made


def test_an_image_that_is_laid_out_needs_no_more(image: Path) -> None:
    lab = adapted(loads(GOOD), image=image)
    found = run_checks(lab, machine(True, programs_missing=frozenset({"sfdisk", "fuse2fs", "mmdebstrap"})))
    assert failed(found) == []
    assert named(found, "image: own.img").ok is True
    assert not any(check.name == "image: debian" for check in found)


@pytest.mark.parametrize(("program", "package"), [("sfdisk", "fdisk"), ("fuse2fs", "fuse2fs"), ("mcopy", "mtools")])
def test_laying_an_image_out_needs_programs(program: str, package: str, image: Path) -> None:
    lab = adapted(loads(GOOD), image=image)
    found = run_checks(lab, machine(False, programs_missing=frozenset({program})))
    assert [(check.name, check.package) for check in failed(found)] == [(program, package)]
    assert named(found, "image: own.img").ok is None


def test_a_file_that_is_no_image_fails_the_check(image: Path) -> None:
    lab = adapted(loads(GOOD), image=image)
    (check,) = failed(run_checks(lab, machine(ConfigError("the image is a folder", remedy="name a file"))))
    assert (check.name, check.found, check.remedy) == ("image: own.img", "the image is a folder", "name a file")


def test_without_fuse_the_root_cannot_be_read(image: Path) -> None:
    lab = adapted(loads(GOOD), image=image)
    (check,) = failed(run_checks(lab, machine(False, files_missing=frozenset({"/dev/fuse"}))))
    assert "modprobe fuse" in check.remedy
