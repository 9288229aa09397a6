# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in an image's root: which system for which processor, who can log in, and what stands in the way of a login."""

import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError

#: ELF e_machine (System V ABI supplements).
_MACHINES = {0xB7: "arm64", 0x28: "arm", 0x3E: "x86-64", 0x03: "x86", 0xF3: "riscv"}
_PROGRAMS = ("usr/lib/systemd/systemd", "lib/systemd/systemd", "usr/bin/sh", "bin/sh", "bin/busybox", "sbin/init")
#: Files of a boot partition by which a system makes its users when it boots first.
MAKE_USERS = frozenset({"userconf.txt", "userconf", "user-data", "custom.toml"})
_WIZARD = "etc/systemd/system/multi-user.target.wants/userconfig.service"


@dataclass(frozen=True)
class System:
    """name: as os-release has it. users: who can log in with a password, or without one. no_login: what stands in the way of a
    login on the serial console, in words."""

    name: str
    processor: str
    users: tuple[str, ...]
    no_login: tuple[str, ...]


def look(root: Path, boot: Path, image: Path) -> System:
    """Raises ConfigError when it is no root file system of a Raspberry Pi."""
    etc = inside(root, "etc")
    if etc is None or not etc.is_dir():
        names = ", ".join(sorted(path.name for path in root.iterdir())[:6]) or "nothing"
        raise ConfigError(
            f"the image's root partition holds no system: it has no /etc, but {names}",
            place=str(image),
            remedy="name an image of a whole Raspberry Pi system",
        )
    processor = _processor(root)
    if processor in ("x86-64", "x86", "riscv"):
        raise ConfigError(
            f"the image's system is made for {processor}, not for a Raspberry Pi",
            place=str(image),
            remedy="name an image for Raspberry Pis (arm64 or armhf)",
        )
    users = _users(root)
    return System(_name(root), processor, users, tuple(_no_login(root, boot, users)))


def inside(root: Path, name: str) -> Path | None:
    """A path in a root with its links followed as in the running system, never out of it; None when nothing is there."""
    at, left, hops = root, name.strip("/").split("/"), 0
    while left:
        part = left.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            at = at.parent if at != root else root
            continue
        step = at / part
        if step.is_symlink():
            hops += 1
            if hops > 40:
                return None
            target = str(step.readlink())
            at = root if target.startswith("/") else at
            left = [*target.split("/"), *left]
        elif step.exists():
            at = step
        else:
            return None
    return at


def text(root: Path, name: str) -> str:
    """A text file of a root; "" when it is not there or cannot be read."""
    path = inside(root, name)
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path is not None and path.is_file() else ""
    except OSError:
        return ""


def _processor(root: Path) -> str:
    for name in _PROGRAMS:
        path = inside(root, name)
        if path is not None and path.is_file():
            with path.open("rb") as file:
                head = file.read(20)
            if head[:4] == b"\x7fELF":
                number = int.from_bytes(head[18:20], "little")
                return _MACHINES.get(number, f"machine {number}")
    return ""


def _name(root: Path) -> str:
    match = re.search(r'^PRETTY_NAME="?([^"\n]{1,100})', text(root, "etc/os-release"), re.MULTILINE)
    return match[1] if match else ""


def _users(root: Path) -> tuple[str, ...]:
    shadow = {line.split(":")[0]: line.split(":")[1] for line in text(root, "etc/shadow").splitlines() if ":" in line}
    found = []
    for line in text(root, "etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) < 7 or fields[6].endswith(("nologin", "false", "sync")):
            continue
        hashed = shadow.get(fields[0], fields[1])
        # "!", "*" and "!$y$…" never match; an empty field asks for no password; x refers to a shadow that has no such line.
        if not hashed.startswith(("!", "*", "x")):
            found.append(fields[0])
    return tuple(found)


def _no_login(root: Path, boot: Path, users: tuple[str, ...]) -> list[str]:
    found = []
    names = {path.name for path in boot.iterdir()}
    made = names & MAKE_USERS
    if not users and not made:
        how = (
            "its first-boot wizard asks for a name on the screen"
            if (root / _WIZARD).is_symlink()
            else "every password in /etc/shadow is locked"
        )
        found.append(
            f"nobody can log in: {how}. Put userconf.txt into the image's boot partition (NAME:HASH, the hash of "
            "`openssl passwd -6`), and name that user in the board's login:"
        )
    for unit in ("serial-getty@ttyAMA0.service", "serial-getty@.service", "serial-getty@ttyS0.service"):
        link = root / "etc/systemd/system" / unit
        if link.is_symlink() and str(link.readlink()) == "/dev/null":
            found.append(
                f"{unit} is masked: no login prompt comes on the serial console. In the image: systemctl unmask {unit}"
            )
    return found
