# SPDX-License-Identifier: GPL-2.0-or-later
"""Without root rights a rig serves DHCP and TFTP, in a user namespace; NFS is left out."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.servers.programs import system_path

ROOT = Path(__file__).parents[2]
NOBODY = 65534
SYSTEM_PYTHON = "/usr/bin/python3"
# A tun device that everyone may open, as udev makes it; seen by this test alone.
WITH_TUN = """
mkdir "$1/dev" && mknod "$1/dev/tun" c 10 200 && chmod 666 "$1/dev/tun" && mount --bind "$1/dev/tun" /dev/net/tun || exit 99
shift; exec "$@"
"""


def as_nobody(*argv: str) -> list[str]:
    if os.geteuid() != 0:
        return list(argv)
    # Through a shell: setpriv itself starts its program with root's right to look into closed directories.
    shell = ["sh", "-c", 'exec "$@"', "sh"]
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *shell, *argv]


def works(*argv: str) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="module")
def python() -> str:
    """A Python of this version that an ordinary user may run; root's own may lie in a directory that is closed to others."""
    if absent := [name for name in ("unshare", "dnsmasq", "curl") if not shutil.which(name, path=system_path())]:
        pytest.skip(f"not installed: {', '.join(absent)}")
    if not works(*as_nobody("unshare", "--user", "--map-root-user", "--net", "true")):
        pytest.skip("this machine allows no user namespaces to ordinary users")
    same = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for candidate in (sys.executable, SYSTEM_PYTHON):
        if works(*as_nobody(candidate, "-c", same)):
            return candidate
    pytest.skip(f"no Python {sys.version_info[0]}.{sys.version_info[1]} that an ordinary user may run")


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that nobody owns; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="piboot-test-", dir="/tmp"))
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


def visit(python: str, home: Path, *around: str) -> dict[str, object]:
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    environment = {
        "PATH": "/usr/bin:/bin",  # as an ordinary user's: without sbin
        "PYTHONPATH": f"{ROOT}{os.pathsep}{packages}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIBOOT_SCRATCH": str(home / "scratch"),
    }
    argv = [*around, *as_nobody(python, "-P", "-m", "tests.servers.visitor", str(home))]
    done = subprocess.run(argv, env=environment, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    logs = "".join(path.read_text() for path in home.rglob("*.log"))
    assert done.returncode == 0, done.stderr + logs
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told


@pytest.mark.netns
def test_files_are_served_to_an_ordinary_users_rig(python: str, home: Path) -> None:
    told = visit(python, home)
    assert told["user"] != 0
    assert told["services"] == {"dnsmasq": True}
    assert (told["curl"], told["same"], told["left"]) == (0, True, [])


@pytest.mark.netns
def test_with_a_tun_device_it_has_boards_too(python: str, home: Path) -> None:
    told = visit(python, home, "unshare", "--mount", "sh", "-c", WITH_TUN, "sh", str(home))
    assert told["user"] == NOBODY
    assert told["boards"] == 1
    assert told["servers"] == [[10, 77, 0, 1]]
    assert (told["services"], told["same"], told["left"]) == ({"dnsmasq": True}, True, [])
    gear = 2 if shutil.which("snmpd", path=system_path()) else 1
    assert told["gear"] == ["on", "off"] * gear, "a relay's pin and an SNMP agent switch it as root's"
