# SPDX-License-Identifier: GPL-2.0-or-later
"""arm64 packages of Debian's archive, by the machine's apt but without touching the machine's apt state.

apt runs with lists, cache and sources of its own in a folder of ours; its proxy settings, time-outs and the like stay those
of the machine (/etc/apt/apt.conf.d). Packages are checked by apt against the archive's signed lists (SHA-256) as usual.
"""

import hashlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InfraError
from harness.images.tools import KEYRING, remove, run

SUITE = "bookworm"  # its initramfs-tools uses klibc's ipconfig and nfsmount, whose console lines the judge knows
COMPONENTS = "main non-free-firmware"  # the latter for raspi-firmware
MIRROR = "http://deb.debian.org/debian"
NETWORK = "check the network and the mirror (PIBOOT_DEBIAN_MIRROR), then run it again: what was downloaded is kept"


def mirror() -> str:
    """Base URL of the archive: $PIBOOT_DEBIAN_MIRROR or Debian's own."""
    return os.environ.get("PIBOOT_DEBIAN_MIRROR", "").rstrip("/") or MIRROR


@dataclass(frozen=True)
class Package:
    """A package as it was got: `deb` is the file."""

    name: str
    version: str
    deb: Path

    def __str__(self) -> str:
        return f"{self.name}={self.version}"


class PrivateApt:
    """apt for arm64 with all its state under `folder`."""

    def __init__(self, folder: Path, *, url: str | None = None) -> None:
        self.folder = folder
        self.sources = folder / "sources.list"
        for name in ("lists/partial", "cache/archives/partial", "preferences.d"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.sources.write_text(f"deb [arch=arm64 signed-by={KEYRING}] {url or mirror()} {SUITE} {COMPONENTS}\n")
        (folder / "status").write_text("")

    def options(self) -> list[str]:
        values = {
            "Dir::Etc::sourcelist": self.sources,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": self.folder / "preferences.d",
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
            "APT::Architecture": "arm64",
            "APT::Architectures": "arm64",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",  # our folders are not readable for the user _apt
            "APT::Update::Error-Mode": "any",  # else a mirror that is away is a warning only
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
        }
        return [f"-o{key}={value}" for key, value in values.items()]

    def update(self) -> None:
        run(["apt-get", *self.options(), "update"], f"reading {mirror()}'s package lists", deadline=180, remedy=NETWORK)

    def depends(self, name: str, prefix: str) -> str:
        """The one package that `name` depends on and which begins with `prefix` (linux-image-arm64 → the kernel itself)."""
        text = run(["apt-cache", *self.options(), "depends", name], f"looking up {name}", deadline=60)
        found = [line.split()[-1] for line in text.splitlines() if line.strip().startswith(f"Depends: {prefix}")]
        if len(found) != 1:
            raise InfraError(
                f"the archive's {name} depends on {found or 'no'} {prefix}…", place=mirror(), remedy=NETWORK
            )
        return found[0]

    def download(self, names: Sequence[str], into: Path) -> dict[str, Package]:
        """Gets the candidate versions of `names` into `into`; what lies there already, whole, is not got again."""
        into.mkdir(parents=True, exist_ok=True)
        what = f"downloading {', '.join(names)}"
        listing = run(
            ["apt-get", *self.options(), "download", "--print-uris", *names], what, deadline=60, remedy=NETWORK
        )
        expected = parse_uris(listing)
        for file, digest in expected.items():
            # apt-get itself takes a file of the right size for the right file.
            if (into / file).exists() and sha256(into / file) != digest:
                (into / file).unlink()
        fetch = ["env", f"--chdir={into}", "apt-get", *self.options(), "-q", "download", *names]
        run(fetch, what, deadline=900, remedy=NETWORK)
        packages = {}
        for file in expected:
            name, version, _ = file.split("_", 2)
            packages[name] = Package(name, version.replace("%3a", ":"), into / file)
        lost = [name for name in names if name not in packages or not packages[name].deb.exists()]
        if lost:
            raise InfraError(f"{what}: apt-get gave no file for {', '.join(lost)}", place=str(into), remedy=NETWORK)
        for package in packages.values():
            for old in into.glob(f"{package.name}_*.deb"):
                if old != package.deb:
                    old.unlink(missing_ok=True)
        return packages


def parse_uris(listing: str) -> dict[str, str]:
    """File name → SHA-256 from `apt-get download --print-uris`: lines of 'URL' FILE SIZE SHA256:HEX.

    The file name carries the version, with %3a for an epoch's colon.
    """
    lines = [shlex.split(line) for line in listing.splitlines() if " SHA256:" in line]
    return {words[1]: words[3].removeprefix("SHA256:") for words in lines if len(words) == 4}


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def host_acquire_options() -> list[str]:
    """The machine's own `Acquire::` settings for proxies, as `Key "value"` lines for a chroot's apt (mmdebstrap --aptopt)."""
    dump = run(["apt-config", "dump"], "reading the machine's apt settings", deadline=30)
    wanted = ("Acquire::http::Proxy", "Acquire::https::Proxy")
    return [line for line in dump.splitlines() if line.startswith(wanted) and '""' not in line]


def unpack(package: Package, target: Path) -> None:
    """Unpacks the files of `package` into `target`, without its scripts."""
    remedy = f"remove {package.deb} and run it again"
    target.mkdir(parents=True, exist_ok=True)
    try:
        run(["dpkg-deb", "-x", package.deb, target], f"unpacking {package}", deadline=300, remedy=remedy)
    except InfraError:
        remove(target)
        raise
