# SPDX-License-Identifier: GPL-2.0-or-later
"""The light initramfs: Debian's initramfs-tools scripts with klibc's ipconfig and nfsmount, without udev.

A Debian initramfs spends 9-18 s under emulation in udev's coldplug. This one runs the very same `init` and `scripts/nfs` of
the package initramfs-tools-core, so that the console says the same lines (`Begin: …`, `IP-Config: …`), but loads a fixed list
of modules with busybox' modprobe. No arm64 code is run to make it.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.images import modules
from harness.images.cpio import archive
from harness.images.initramfs import LINK_UP

# Debian's initramfs.conf, as far as init and its scripts read it at boot.
CONF = "MODULES=list\nBUSYBOX=auto\nKEYMAP=n\nDEVICE=\nNFSROOT=auto\nRUNSIZE=10%\nFSTYPE=auto\n"

# The network card of QEMU's raspi3b: a USB one on the Pi's DWC2. udev's coldplug would find it.
USB_NETWORK = ("phy_generic", "dwc2", "usbnet", "cdc_ether", "rndis_host", "cdc_subset")
NAMES = (*modules.LIGHT_BOOT, *USB_NETWORK)

# A USB card is there a second or two after its driver; LINK_UP raises only the cards that it finds.
AWAIT_CARD = """tries=0
until [ -n "$(ls -d /sys/class/net/e* 2>/dev/null)" ] || [ $tries -ge 40 ]; do
  usleep 100000
  tries=$((tries + 1))
done
"""
LINK = LINK_UP.replace("for card in", AWAIT_CARD + "for card in", 1)

# udev's own init-bottom script does this in a Debian initramfs; initramfs-tools' init relies on it.
MOVE_DEV = """#!/bin/sh
# Hands /dev on to the real root.
[ "$1" = prereqs ] && exit 0
mount -n -o move /dev "${rootmnt:?}/dev" || mount -n --move /dev "${rootmnt}/dev"
# The console stays usable by path for what init still does here.
rm -rf /dev && ln -s "${rootmnt}/dev" /dev
"""


def _script(work: Path, stage: str, name: str, content: str) -> None:
    """Puts a script where initramfs-tools' run_scripts finds it: mkinitramfs writes the ORDER file likewise."""
    folder = work / "scripts" / stage
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    (folder / name).chmod(0o755)
    (folder / "ORDER").write_text(f'/scripts/{stage}/{name} "$@"\n')


def make(
    parts: Path,
    applets: Sequence[str],
    tree: modules.ModuleTree,
    release: str,
    work: Path,
    names: Sequence[str] = NAMES,
) -> bytes:
    """The initramfs as bytes. parts: initramfs-tools-core, klibc-utils, libklibc and busybox-static, unpacked into one folder;
    applets: busybox' commands; work: an empty folder to lay it out in."""
    for name in ("bin", "lib", "usr", "etc", "run", "conf/conf.d", "scripts"):
        (work / name).mkdir(parents=True, exist_ok=True)
    (work / "sbin").symlink_to("bin")
    shutil.copy2(parts / "bin/busybox", work / "bin/busybox")
    for applet in applets:
        if applet == "busybox":
            continue
        (work / "bin" / applet).symlink_to("busybox")
    for path in sorted((parts / "usr/lib/klibc/bin").iterdir()):
        # As klibc-utils' own hook: only what busybox does not have already.
        if path.name not in ("gzip", "kinit", "zcat") and not (work / "bin" / path.name).is_symlink():
            shutil.copy2(path, work / "bin" / path.name)
    for path in (parts / "lib").glob("klibc-*.so"):
        shutil.copy2(path, work / "lib" / path.name)
    source = parts / "usr/share/initramfs-tools"
    shutil.copy2(source / "init", work / "init")
    (work / "init").chmod(0o755)
    for name in ("functions", "local", "nfs"):
        shutil.copy2(source / "scripts" / name, work / "scripts" / name)
    _script(work, "init-premount", "link", LINK)
    _script(work, "init-bottom", "dev", MOVE_DEV)
    (work / "conf/arch.conf").write_text("DPKG_ARCH=arm64\n")
    (work / "conf/initramfs.conf").write_text(CONF)
    (work / "conf/modules").write_text("".join(f"{name}\n" for name in names))
    (work / "etc/fstab").write_text("")
    (work / "etc/mtab").symlink_to("/proc/mounts")
    chosen = tree.closure(names, required=names)
    target = work / "lib/modules" / release
    modules.install(tree, chosen, target)
    modules.write_index(chosen, target)
    return archive(work)
