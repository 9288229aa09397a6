# SPDX-License-Identifier: GPL-2.0-or-later
"""Secrets of the system's keyring: a real one (gnome-keyring) by secret-tool, and Python's package by a stand-in."""

import importlib.util
import shutil
import sys
import types
from pathlib import Path

import pytest

from harness.config import SecretSource, keyring
from harness.errors import ConfigError
from tests.config.samples import GOOD, mistakes

from .session import in_keyring_session


@pytest.mark.gear
def test_a_real_keyring(tmp_path: Path) -> None:
    script = (
        "from harness.config import SecretSource\n"
        "print(SecretSource(keyring='piboot/switch-7').resolve().reveal())\n"
        "try: SecretSource(keyring='piboot/nobody').resolve()\n"
        "except Exception as error: print(type(error).__name__, error.what, error.place, error.remedy)\n"
    )
    done = in_keyring_session(tmp_path, {"switch-7": "s3cr&t from a ring"}, [sys.executable, "-c", script])
    first, second = done.stdout.splitlines()
    assert first == "s3cr&t from a ring", done.stderr
    assert second.startswith("ConfigError the keyring has no such entry, or it is empty keyring piboot/nobody")
    assert "secret-tool store" in second


@pytest.mark.gear
def test_no_session_no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("secret-tool") is None:
        pytest.skip("needs secret-tool: apt install libsecret-tools")
    for name in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(keyring, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"the keyring cannot be read|no such entry") as caught:
        SecretSource(keyring="piboot/x").resolve()
    assert caught.value.place == "keyring piboot/x"


def test_nothing_that_can_read_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(keyring, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="nothing here can read the system's keyring") as caught:
        SecretSource(keyring="piboot/x").resolve()
    assert "libsecret-tools" in caught.value.remedy


def test_pythons_package_is_taken_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def get_password(service: str, user: str) -> str | None:
        asked.append((service, user))
        if user == "broken":
            raise RuntimeError("geheim: no recommended backend was available")
        return "geheim" if user == "switch" else None

    module = types.ModuleType("keyring")
    module.__spec__ = importlib.util.spec_from_loader("keyring", None)
    module.get_password = get_password  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    assert SecretSource(keyring="piboot/switch").resolve().reveal() == "geheim"
    assert asked == [("piboot", "switch")]
    with pytest.raises(ConfigError, match="no such entry"):
        SecretSource(keyring="piboot/other").resolve()
    with pytest.raises(ConfigError, match="cannot be read: RuntimeError") as caught:
        SecretSource(keyring="piboot/broken").resolve()
    assert "geheim" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("entry", ["piboot", "a/b/c", "a b/c", "/x", "x/"])
def test_an_entry_that_is_none_is_a_mistake(entry: str) -> None:
    (found,) = mistakes(f'{GOOD}    login: {{user: pi, password: {{keyring: "{entry}"}}}}\n')
    assert "service and user" in found.instead
