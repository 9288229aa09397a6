# SPDX-License-Identifier: GPL-2.0-or-later
"""Secrets: named in lab.yaml, read when used, never shown."""

import copy
import os
import pickle
from pathlib import Path

import pytest

from harness.config import Secret, SecretSource, load
from harness.errors import ConfigError
from tests.config.samples import GOOD


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("geheim")
    shown = f"{secret} {secret!r} {[secret]}"
    assert "geheim" not in shown
    assert secret.reveal() == "geheim"
    assert secret == Secret("geheim")
    assert secret not in ("geheim", Secret("x"))
    assert len({secret, Secret("geheim")}) == 1
    for way in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="pass its SecretSource"):
            way(secret)
    assert not hasattr(secret, "__dict__")


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SecretSource(env="PI_PASSWORD")
    monkeypatch.setenv("PI_PASSWORD", "geheim")
    assert source.resolve().reveal() == "geheim"
    monkeypatch.setenv("PI_PASSWORD", "")
    with pytest.raises(ConfigError, match="PI_PASSWORD is empty"):
        source.resolve()
    monkeypatch.delenv("PI_PASSWORD")
    with pytest.raises(ConfigError, match="PI_PASSWORD is not set") as caught:
        source.resolve()
    assert "--preserve-env=PI_PASSWORD" in caught.value.remedy


def source_of(path: Path) -> SecretSource:
    return SecretSource(file=str(path))


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("geheim\nsecond line\n")
    path.chmod(0o600)
    assert source_of(path).resolve().reveal() == "geheim"
    path.write_bytes(b"geheim\r\n")
    assert source_of(path).resolve().reveal() == "geheim"
    path.chmod(0o400)
    assert source_of(path).resolve().reveal() == "geheim"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o666, 0o777])
def test_a_file_that_others_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "password"
    path.write_text("geheim\n")
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}") as caught:
        source_of(path).resolve()
    assert caught.value.remedy == f"chmod 600 {path}"
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty first line"),
        (b"\ngeheim", "empty first line"),
        (b"\xffgeheim", "not UTF-8"),
        (b"geheim" * 1000, "too long"),
    ],
)
def test_files_that_hold_no_secret(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=what) as caught:
        source_of(path).resolve()
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert "geheim" not in " ".join(f"{error!r} {error}" for error in chain[:2])


def test_no_file_a_folder_and_a_pipe(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        source_of(tmp_path / "none").resolve()
    with pytest.raises(ConfigError, match="not a file"):
        source_of(tmp_path).resolve()
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(ConfigError, match="not a file"):
        source_of(tmp_path / "fifo").resolve()


def test_a_relative_path_starts_at_the_labs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab.yaml").write_text(GOOD + "    login: {user: pi, password: {file: keys/pi}}\n")
    (tmp_path / "keys").mkdir()
    secret = tmp_path / "keys" / "pi"
    secret.write_text("geheim\n")
    secret.chmod(0o600)
    monkeypatch.chdir("/")
    login = load(tmp_path / "lab.yaml").boards["a"].login
    assert login is not None
    assert login.password is not None
    assert login.password.resolve().reveal() == "geheim"


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert SecretSource.model_validate({"file": "~/pi"}).file == str(tmp_path / "pi")
