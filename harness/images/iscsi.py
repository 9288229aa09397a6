# SPDX-License-Identifier: GPL-2.0-or-later
"""What an initramfs and a root need for an iSCSI root: open-iscsi, as Debian packages it.

In the initramfs its scripts log in with iscsistart and end. A session that is lost later is taken up again by iscsid, which
runs in the root and has to be there before: without, the first restart of the target is the end of the board.
"""

import shutil
from pathlib import Path

from harness.images import BootSet, elf, modules
from harness.images.parts import add_scripts, complete_modules, with_packages

MODULES = ("iscsi_tcp", "sd_mod", "crc32c_generic", "ext4")
#: open-iscsi and the libraries of iscsistart and iscsid.
PACKAGES = (
    *("open-iscsi", "libopeniscsiusr", "libisns0", "libc6", "libkmod2", "libmount1", "libblkid1", "libselinux1"),
    *(
        "libpcre2-8-0",
        "libssl3",
        "libsystemd0",
        "libcap2",
        "libgcrypt20",
        "libgpg-error0",
        "liblzma5",
        "libzstd1",
        "liblz4-1",
    ),
)

# open-iscsi's scripts wait with `udevadm settle`; without udev, that is for the disks of the sessions that there are.
UDEVADM = """#!/bin/sh
# udevadm settle, as far as an initramfs without udev needs it.
[ -d /sys/class/iscsi_session ] || exit 0
# What udev would load for such a disk.
modprobe sd_mod
for session in /sys/class/iscsi_session/*; do
  tries=0
  until [ ! -e "$session" ] || ls -d "$session"/device/target*/*/block/* >/dev/null 2>&1 || [ $tries -ge 50 ]; do
    usleep 100000
    tries=$((tries + 1))
  done
done
"""

# Into the light root's rcS. Debian's own root has units for it.
START_ISCSID = """if ls /sys/class/iscsi_session/* >/dev/null 2>&1; then
  mkdir -p /run/lock
  # It closes the connection and opens it anew; meanwhile it cannot read from the disk, not even OpenSSL's configuration.
  OPENSSL_CONF=/dev/null /sbin/iscsid
fi
"""

#: Links that `systemctl enable` makes when Debian's package is configured.
_UNITS = ("iscsid.service", "open-iscsi.service")


def complete(images: BootSet, work: Path) -> None:
    """Lays iscsistart, its libraries and open-iscsi's scripts out in `work`."""
    with_packages(PACKAGES, lambda parts: _complete(images, work, parts))


def _complete(images: BootSet, work: Path, parts: Path) -> None:
    light = images.kind == "light"
    usr = work if light else work / "usr"
    programs = usr / ("bin" if light else "sbin")
    _copy(parts / "sbin/iscsistart", programs / "iscsistart")
    _add_libraries([parts / "sbin/iscsistart"], parts, usr / "lib")
    (work / "etc").mkdir(exist_ok=True)
    # Where no iscsi_initiator= stands on the command line.
    (work / "etc/initiatorname.iscsi").write_text("InitiatorName=iqn.1993-08.org.debian:01:pi\n")
    scripts = parts / "usr/share/initramfs-tools/scripts"
    add_scripts(work, {name: (scripts / name).read_text() for name in ("local-top/iscsi", "local-bottom/iscsi")})
    if light:
        (programs / "udevadm").write_text(UDEVADM)
        (programs / "udevadm").chmod(0o755)
    else:
        complete_modules(images, work, (*MODULES, *(modules.LIGHT_BOOT if images.own is None else ())))


def complete_root(images: BootSet, root: Path) -> None:
    """Adds iscsid to a copy of the boot set's root; /etc/iscsi/initiatorname.iscsi is the board's."""
    with_packages(PACKAGES, lambda parts: _complete_root(images, root, parts))


def _complete_root(images: BootSet, root: Path, parts: Path) -> None:
    light = images.kind == "light"
    programs = [parts / "sbin" / name for name in ("iscsid", "iscsiadm")]
    for program in programs:
        _copy(program, root / "sbin" / program.name)
    _add_libraries(programs, parts, root / "lib", keep=not light)
    (root / "etc/iscsi").mkdir(exist_ok=True)
    _copy(parts / "etc/iscsi/iscsid.conf", root / "etc/iscsi/iscsid.conf")
    if light:
        with (root / "etc/init.d/rcS").open("a") as file:
            file.write(START_ISCSID)
        return
    shutil.copytree(parts / "lib/open-iscsi", root / "usr/lib/open-iscsi", dirs_exist_ok=True)
    units = root / "usr/lib/systemd/system"
    for unit in _UNITS:
        _copy(parts / "lib/systemd/system" / unit, units / unit)
        wanted = root / "etc/systemd/system/sysinit.target.wants" / unit
        wanted.parent.mkdir(parents=True, exist_ok=True)
        wanted.symlink_to(f"/lib/systemd/system/{unit}")


def _add_libraries(programs: list[Path], parts: Path, lib: Path, *, keep: bool = False) -> None:
    """Where the loader looks: the loader itself by its path, libraries in the multiarch folder. keep: not over those there."""
    for name, file in elf.closure(programs, parts).items():
        target = lib / "aarch64-linux-gnu" / name
        if not (keep and target.exists()):
            _copy(file, target)
    loader = lib / "ld-linux-aarch64.so.1"
    if not (keep and loader.exists()):
        _copy(parts / "lib/ld-linux-aarch64.so.1", loader)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(source.stat().st_mode & 0o777)
