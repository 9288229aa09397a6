# SPDX-License-Identifier: GPL-2.0-or-later
"""What an initramfs needs for an NFS v4 root: another `nfsmount`.

klibc's nfsmount knows versions 2 and 3 only (Debian bug 409271), in Debian 12 as in Debian 13, whose initramfs-tools still
calls it. This one stands in its place, takes the same arguments, and lets the kernel read the options: vers=4.1, proto=tcp and
all others of nfs(5). With busybox, which is in the initramfs anyway; mount.nfs of nfs-common does as well, with its libraries,
/etc/netconfig and /etc/protocols.
"""

MODULES = ("nfsv4",)

# /etc/initramfs-tools/hooks/nfs4 of a real Pi copies it to "$DESTDIR/bin/nfsmount".
NFSMOUNT = """#!/bin/sh
# nfsmount [-o OPTIONS]... SERVER:/PATH FOLDER: as klibc's, but for any NFS version that the kernel knows.
options=
while [ "$1" = -o ]; do
  options="$options${options:+,}$2"
  shift 2
done
server=${1%%:*}
# The kernel is told what mount.nfs would find out: the server's address and our own.
for card in /run/net-*.conf; do
  [ -e "$card" ] && . "$card"
done
exec busybox mount -t nfs -o "$options,addr=$server,clientaddr=${IPV4ADDR:-0.0.0.0}" "$1" "$2"
"""
