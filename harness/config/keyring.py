# SPDX-License-Identifier: GPL-2.0-or-later
"""The system's keyring: Python's `keyring` when it is installed, else libsecret's `secret-tool`. Both find the same entries."""

import importlib
import shutil
import subprocess
from importlib.util import find_spec

from harness.errors import ConfigError

#: Seconds: a keyring that is locked may ask somebody who is not there.
_PATIENCE = 10.0


def lookup(service: str, user: str) -> str:
    """The secret of an entry. ConfigError: it is not there, the keyring is locked, or nothing can read it."""
    place = f"keyring {service}/{user}"
    value = _by_package(service, user, place) if find_spec("keyring") is not None else _by_program(service, user, place)
    if not value:
        store = f"secret-tool store --label={service} service {service} username {user}"
        raise ConfigError("the keyring has no such entry, or it is empty", place=place, remedy=f"make it: {store}")
    return value


def _by_package(service: str, user: str, place: str) -> str:
    keyring = importlib.import_module("keyring")
    try:
        return str(keyring.get_password(service, user) or "")
    except Exception as error:  # whatever its backends raise: no D-Bus, locked, none installed
        # Not chained: a backend's error may hold what it read.
        raise ConfigError(f"the keyring cannot be read: {type(error).__name__}", place=place, remedy=_REMEDY) from None


def _by_program(service: str, user: str, place: str) -> str:
    program = shutil.which("secret-tool")
    if program is None:
        raise ConfigError(
            "nothing here can read the system's keyring",
            place=place,
            remedy="apt install libsecret-tools, or pip install keyring into the harness' venv; or use {env: …} or {file: …}",
        )
    try:
        done = subprocess.run(
            [program, "lookup", "service", service, "username", user],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
        text = done.stdout.decode().removesuffix("\n")
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        raise ConfigError(f"the keyring cannot be read: {type(error).__name__}", place=place, remedy=_REMEDY) from None
    if done.returncode and done.stderr.strip():
        raise ConfigError(
            f"the keyring cannot be read: {done.stderr.decode('utf-8', 'replace').strip()[:200]}",
            place=place,
            remedy=_REMEDY,
        )
    return text


_REMEDY = (
    "unlock it, and run the harness in the session that it belongs to (sudo loses it: "
    "sudo --preserve-env=DBUS_SESSION_BUS_ADDRESS); for a lab at night use {file: path}"
)
