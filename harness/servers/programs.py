# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs that the emulated lab runs, and the Debian packages that they come from."""

import os
import shutil
from typing import NamedTuple

from harness.errors import InfraError


class Requirement(NamedTuple):
    """A program of the emulated lab. needs_root: only a rig that is started by root runs it. topologies: empty for all; gear that
    boards hang on stands there, too.
    """

    program: str
    debian_package: str
    why: str
    needs_root: bool
    topologies: tuple[str, ...] = ()


_DNSMASQ = ("dnsmasq-nfs", "dnsmasq-http", "openwrt-43-66", "dnsmasq-iscsi", "ceph-rbd")
_REQUIREMENTS = (
    Requirement("unshare", "util-linux", "gives every rig its own namespaces", False),
    Requirement("dnsmasq", "dnsmasq-base", "DHCP and TFTP server", False, _DNSMASQ),
    Requirement("mkfs.vfat", "dosfstools", "makes boot.img", False, ("dnsmasq-http",)),
    Requirement("mcopy", "mtools", "makes boot.img", False, ("dnsmasq-http",)),
    Requirement("dhcpd", "isc-dhcp-server", "DHCP server", False, ("isc-hpa",)),
    Requirement("in.tftpd", "tftpd-hpa", "TFTP server", True, ("isc-hpa", "router-option-66", "openwrt-43-66")),
    Requirement("kea-dhcp4", "kea-dhcp4-server", "DHCP server", False, ("kea-atftpd", "router-option-66", "ceph-rbd")),
    Requirement("atftpd", "atftpd", "TFTP server", False, ("kea-atftpd",)),
    Requirement("tgtd", "tgt", "iSCSI target", True, ("dnsmasq-iscsi",)),
    Requirement("ceph-mon", "ceph-mon", "Ceph's monitor", True, ("ceph-rbd",)),
    Requirement("ceph-osd", "ceph-osd", "Ceph's object store", True, ("ceph-rbd",)),
    Requirement("rbd", "ceph-common", "makes the boards' volumes", True, ("ceph-rbd",)),
    Requirement("mke2fs", "e2fsprogs", "makes the disks' file systems", True, ("dnsmasq-iscsi", "ceph-rbd")),
    Requirement("snmpd", "snmpd", "the PoE switch's SNMP agent", False, ("poe-switch",)),
    Requirement("rpcbind", "rpcbind", "tells NFS v3 clients where the server listens", True),
    Requirement("ganesha.nfsd", "nfs-ganesha nfs-ganesha-vfs", "NFS server in user space", True),
)


def requirements(topology: str = "dnsmasq-nfs") -> list[Requirement]:
    """What `piboot check` looks for before an emulated lab of this topology is started.

    debian_package may be several, separated by blanks.
    """
    return [entry for entry in _REQUIREMENTS if not entry.topologies or topology in entry.topologies]


def system_path() -> str:
    """PATH with the directories that hold servers, which Debian leaves out for ordinary users."""
    parts = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(parts + [sbin for sbin in ("/usr/local/sbin", "/usr/sbin", "/sbin") if sbin not in parts])


def find(program: str) -> str:
    """The program's path. Raises InfraError that names its Debian package when it is not there."""
    path = shutil.which(program, path=system_path())
    if path is None:
        raise missing(program)
    return path


def missing(program: str) -> InfraError:
    """The error for a program that is not installed."""
    package = next((entry.debian_package for entry in _REQUIREMENTS if entry.program == program), "")
    return InfraError(
        f"{program} is not installed",
        remedy=f"sudo apt-get install --no-install-recommends {package}"
        if package
        else f"install {program} and put it on PATH",
    )
