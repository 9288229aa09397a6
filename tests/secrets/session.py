# SPDX-License-Identifier: GPL-2.0-or-later
"""A program in a desktop session of its own, with a keyring that holds some entries: D-Bus, gnome-keyring, secret-tool."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: The entries come by environment variables, not by arguments, which everybody on a host can read.
_SCRIPT = r"""
printf 'pw\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
for name in $PLANTED; do
    printenv "PLANT_${name//-/_}" | tr -d '\n' | secret-tool store --label=piboot service piboot username "$name" || exit 9
done
for name in $PLANTED; do unset "PLANT_${name//-/_}"; done
"$@"
"""


def in_keyring_session(
    home: Path, entries: Mapping[str, str], argv: Sequence[str], **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs `argv` where `keyring: piboot/NAME` finds the entries; skips where the programs are missing."""
    for program, package in (
        ("dbus-run-session", "dbus-daemon"),
        ("gnome-keyring-daemon", "gnome-keyring"),
        ("secret-tool", "libsecret-tools"),
    ):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: apt install {package}")
    own = {f"PLANT_{name.replace('-', '_')}": value for name, value in entries.items()}
    # A pytest in there is none of this one's workers.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    place = {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "XDG_RUNTIME_DIR": str(home)}
    return subprocess.run(
        ["dbus-run-session", "--", "bash", "-c", _SCRIPT, "session", *argv],
        env={**inherited, **place, **own, "PLANTED": " ".join(entries), "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
