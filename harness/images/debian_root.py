# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian root and its initramfs: what a user's netbooted Pi has, made by mmdebstrap with every package configured.

systemd, udev, dbus, logind, a serial getty from systemd's own generator (console= on the command line), nothing masked. The
initramfs is made by initramfs-tools inside this root, under qemu-user. The network is configured by the initramfs and nobody
takes it down: neither ifupdown nor networkd nor dhcpcd is there to do so.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.images import apt, modules
from harness.images.binfmt import run_arm64
from harness.images.initramfs import LINK_UP
from harness.images.tools import SEARCH

HOSTNAME = "pi"
INCLUDE = (
    *(
        "systemd-sysv",
        "udev",
        "dbus",
        "libpam-systemd",
        "kmod",
        "iproute2",
        "login",
        "passwd",
        "procps",
        "netbase",
        "iputils-ping",
    ),
    *("less", "initramfs-tools", "busybox", "zstd"),
)
# Text that nobody reads on a test's console, 60 MB of it; licences stay.
DPKG_OPTIONS = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)

FILES = {
    "etc/hostname": f"{HOSTNAME}\n",
    "etc/hosts": f"127.0.0.1\tlocalhost\n127.0.1.1\t{HOSTNAME}\n::1\tlocalhost ip6-localhost ip6-loopback\n",
    # As on Raspberry Pi OS with an NFS root: no line for /, it is mounted already and by other means.
    "etc/fstab": "proc /proc proc defaults 0 0\n",
    "etc/resolv.conf": "# The lab's network has no name server.\n",
    # Empty but there: systemd makes a new one at each boot of a clean copy, and does not take it for a first boot to ask about.
    "etc/machine-id": "",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/timezone": "Etc/UTC\n",
    "etc/initramfs-tools/conf.d/netboot": "# The modules for a root by network.\nMODULES=netboot\n",
}
# The modules which udev would not find a device for.
INITRAMFS_MODULES = ("nfs", "nfsv3", "nfsv4", "overlay", "af_packet", "crc32c_generic")


def interpreter() -> str:
    """Path of qemu-aarch64-static; that it is there was checked before the build."""
    return shutil.which("qemu-aarch64-static", path=SEARCH) or "/usr/bin/qemu-aarch64-static"


def bootstrap(sources: apt.PrivateApt, root: Path) -> None:
    """Makes `root` from the archive; about 95 s on a quiet machine, most of it dpkg under emulation."""
    argv: list[str | Path] = [
        "mmdebstrap",
        "--mode=root",
        "--arch=arm64",
        "--variant=minbase",
        f"--include={','.join(INCLUDE)}",
    ]
    argv += [f"--dpkgopt={option}" for option in DPKG_OPTIONS]
    argv += [
        f"--aptopt={line}"
        for line in ('Acquire::Retries "3"', 'Acquire::Languages "none"', *apt.host_acquire_options())
    ]
    argv += [apt.SUITE, root, sources.sources]
    what = "making the Debian root (mmdebstrap)"
    run_arm64(argv, what, interpreter=interpreter(), deadline=1800, remedy=apt.NETWORK)


def configure(root: Path) -> None:
    """Makes it a Pi's: host name, users root and pi without passwords, clean identity, the link script."""
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(content)
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (root / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    (root / "etc/localtime").unlink(missing_ok=True)
    (root / "etc/localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")
    (root / "etc/initramfs-tools/modules").write_text("".join(f"{name}\n" for name in INITRAMFS_MODULES))
    hook = root / "etc/initramfs-tools/scripts/init-premount/link"
    hook.parent.mkdir(parents=True, exist_ok=True)
    hook.write_text(LINK_UP)
    hook.chmod(0o755)
    script = (
        "useradd -m -s /bin/bash -G sudo,adm,dialout,plugdev,video,users pi && passwd -q -d pi && passwd -q -d root"
    )
    in_root(root, script, "setting up the users root and pi", deadline=120)


def initramfs(root: Path, release: str) -> bytes:
    """depmod and mkinitramfs, run inside `root`; its trimmed modules must be there already."""
    script = f"depmod -a {release} && mkinitramfs -o /tmp/initramfs8 {release}"
    in_root(root, script, "making the initramfs (initramfs-tools)", deadline=1200)
    made = root / "tmp/initramfs8"
    data = made.read_bytes()
    made.unlink()
    return data


def in_root(root: Path, script: str, what: str, *, deadline: float) -> str:
    """Runs a shell script in a chroot with /proc, /sys and /dev, in namespaces of its own: nothing stays mounted."""
    outer = (
        'mount -t proc proc "$1/proc" && mount -t sysfs -o ro sysfs "$1/sys" && mount --rbind /dev "$1/dev" && '
        'exec chroot "$1" /bin/sh -ec "$2"'
    )
    return run_arm64(["sh", "-c", outer, "sh", root, script], what, interpreter=interpreter(), deadline=deadline)


def packages(root: Path) -> list[str]:
    """name=version of all that dpkg says is installed in `root`, sorted."""
    found = []
    for paragraph in (root / "var/lib/dpkg/status").read_text().split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith(" ")
        )
        if fields.get("Status", "").endswith(" installed"):
            found.append(f"{fields['Package']}={fields['Version']}")
    return sorted(found)


def add_modules(root: Path, kernel: Path, release: str, wanted: Sequence[str] = modules.WANTED) -> None:
    """Puts the trimmed modules, and the configuration that mkinitramfs asks, where the kernel's package would have put them."""
    (root / "boot").mkdir(exist_ok=True)
    shutil.copyfile(kernel / f"boot/config-{release}", root / f"boot/config-{release}")
    tree = modules.ModuleTree(kernel / "lib/modules" / release)
    modules.install(tree, tree.closure(wanted, required=modules.LIGHT_BOOT), root / "lib/modules" / release)
