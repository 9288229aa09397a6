# SPDX-License-Identifier: GPL-2.0-or-later
"""The light root: one static busybox, an inittab, a getty on the serial line. Logs in about 3 s after the kernel starts.

No arm64 code is run to make it. It has what probes use: uname, mount, cat, ip, ps, dmesg … of busybox and a findmnt that
knows the forms `findmnt [-n] [-o COLUMN,…] TARGET`.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

HOSTNAME = "pi"

FOLDERS = (
    *("bin", "boot", "dev", "etc/init.d", "home/pi", "lib", "mnt", "proc", "root", "run", "sbin", "sys", "tmp"),
    *("usr/bin", "usr/sbin", "usr/lib", "var/log", "var/tmp"),
)

FILES = {
    "etc/hostname": f"{HOSTNAME}\n",
    "etc/hosts": f"127.0.0.1\tlocalhost\n127.0.1.1\t{HOSTNAME}\n::1\tlocalhost ip6-localhost\n",
    "etc/issue": "Debian GNU/Linux 12 \\n \\l\n\n",
    "etc/debian_version": "12\n",
    "etc/os-release": (
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm), light"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\n'
        'VERSION="12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\nVARIANT_ID=light\n'
    ),
    "etc/passwd": "root::0:0:root:/root:/bin/sh\npi::1000:1000:pi:/home/pi:/bin/sh\n",
    "etc/group": "root:x:0:\ntty:x:5:\npi:x:1000:\n",
    "etc/shadow": "root::19000:0:99999:7:::\npi::19000:0:99999:7:::\n",
    "etc/fstab": "proc /proc proc defaults 0 0\n",
    "etc/resolv.conf": "",
    "etc/profile": "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPS1='${USER:-root}@\\h:\\w\\$ '\n",
    "etc/inittab": (
        "::sysinit:/etc/init.d/rcS\n"
        "ttyAMA0::respawn:/sbin/getty -L ttyAMA0 115200 vt220\n"
        "::ctrlaltdel:/sbin/reboot\n"
        "::shutdown:/bin/umount -a -r\n"
    ),
}

RC = """#!/bin/sh
# The initramfs hands on /dev, /proc, /sys and /run; started without one, they are mounted here.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
. /etc/os-release
echo "Welcome to $PRETTY_NAME!"
mounted() { grep -q " $1 " /proc/mounts 2>/dev/null; }
mounted /proc || mount -t proc proc /proc
mounted /sys || mount -t sysfs sysfs /sys
mounted /dev || mount -t devtmpfs udev /dev
mounted /run || mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /dev/pts /dev/shm
mounted /dev/pts || mount -t devpts -o gid=5,mode=0620 devpts /dev/pts
mount -t tmpfs tmpfs /tmp
hostname -F /etc/hostname
ip link set lo up
# What fstab has beside the root, such as /boot/firmware.
mount -a -t nfs
"""

FINDMNT = """#!/bin/sh
# findmnt [-n] [-o COLUMN,...] [TARGET]: as util-linux', from /proc/mounts.
heading=y columns=TARGET,SOURCE,FSTYPE,OPTIONS target=
while [ $# -gt 0 ]; do
  case "$1" in
    -no|-on) heading=; columns=$2; shift ;;
    -n) heading= ;;
    -o) columns=$2; shift ;;
    -*) echo "findmnt: unknown option $1" >&2; exit 1 ;;
    *) target=$1 ;;
  esac
  shift
done
[ -n "$heading" ] && echo "$columns" | tr ',' ' '
awk -v want="$target" -v columns="$columns" '
  want == "" || $2 == want {
    line[++n] = ""; count = split(columns, name, ",")
    for (i = 1; i <= count; i++) {
      value = name[i] == "TARGET" ? $2 : name[i] == "SOURCE" ? $1 : name[i] == "FSTYPE" ? $3 : name[i] == "OPTIONS" ? $4 : ""
      line[n] = line[n] (i > 1 ? " " : "") value
    }
  }
  # With a target, the last mount on it is what one sees.
  END { if (!n) exit 1; for (i = want == "" ? 1 : n; i <= n; i++) print line[i] }
' /proc/mounts
"""


def make(root: Path, busybox: Path, applets: Sequence[str]) -> None:
    """Lays out `root`. busybox: the arm64 binary; applets: its commands with their places (`sbin/getty`, `bin/cat`)."""
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "var/tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    shutil.copyfile(busybox, root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    for applet in applets:
        link = root / applet
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink() and not link.exists():
            link.symlink_to("/bin/busybox")
    for name, content in FILES.items():
        (root / name).write_text(content)
    (root / "etc/shadow").chmod(0o640)
    for name, content in {"etc/init.d/rcS": RC, "usr/bin/findmnt": FINDMNT}.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(content)
        (root / name).chmod(0o755)
    os.chown(root / "home/pi", 1000, 1000)
