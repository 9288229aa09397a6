# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs that an emulated lab needs, by what for, with the Debian packages that bring them."""

from dataclasses import dataclass

from harness.checks.probes import Check, Probes


@dataclass(frozen=True)
class Program:
    name: str
    package: str
    needed_for: str


SERVING = (
    Program("unshare", "util-linux", "namespaces of the emulated lab"),
    Program("setpriv", "util-linux", "ending what a killed run left"),
    Program("rpcbind", "rpcbind", "NFS of the emulated lab"),
    Program("ganesha.nfsd", "nfs-ganesha", "NFS of the emulated lab"),
    Program("qemu-system-aarch64", "qemu-system-arm", "running the kernel that an emulated board received"),
)
_DNSMASQ = "dnsmasq", "dnsmasq-base"
_HPA = Program("in.tftpd", "tftpd-hpa", "TFTP of the emulated lab")
_KEA = Program("kea-dhcp4", "kea-dhcp4-server", "DHCP of the emulated lab")
_MKE2FS = Program("mke2fs", "e2fsprogs", "the file system of the boards' disks")
#: Of each topology.
NETBOOT = {
    "dnsmasq-nfs": (Program(*_DNSMASQ, "DHCP and TFTP of the emulated lab"),),
    "dnsmasq-http": (
        Program(*_DNSMASQ, "DHCP and TFTP of the emulated lab"),
        Program("mkfs.vfat", "dosfstools", "boot.img of the emulated lab"),
        Program("mcopy", "mtools", "boot.img of the emulated lab"),
    ),
    "router-option-66": (_KEA, _HPA),
    "openwrt-43-66": (Program(*_DNSMASQ, "DHCP of the emulated lab"), _HPA),
    "isc-hpa": (Program("dhcpd", "isc-dhcp-server", "DHCP of the emulated lab"), _HPA),
    "kea-atftpd": (_KEA, Program("atftpd", "atftpd", "TFTP of the emulated lab")),
    "dnsmasq-iscsi": (
        Program(*_DNSMASQ, "DHCP and TFTP of the emulated lab"),
        Program("tgtd", "tgt", "the iSCSI target of the emulated lab"),
        _MKE2FS,
    ),
    "ceph-rbd": (
        _KEA,
        Program(*_DNSMASQ, "proxy DHCP and TFTP of the emulated lab"),
        *(Program(name, name, "Ceph of the emulated lab") for name in ("ceph-mon", "ceph-osd")),
        Program("rbd", "ceph-common", "the boards' volumes"),
        _MKE2FS,
    ),
}
#: Of what emulated boards hang on.
FEEDING = {"poe-switch": (Program("snmpd", "snmpd", "the PoE switch of the emulated lab"),)}
#: Of an image of the user's own, until it is laid out.
IMAGE = (
    Program("sfdisk", "fdisk", "the partitions of your image"),
    Program("mcopy", "mtools", "the boot partition of your image"),
    Program("e2fsck", "e2fsprogs", "the root of your image"),
    Program("fuse2fs", "fuse2fs", "the root of your image"),
    Program("zstd", "zstd", "the initramfs of your image"),
)
BUILDING = (
    Program("apt-get", "apt", "fetching the boards' kernel and firmware"),
    Program("dpkg-deb", "dpkg", "unpacking the boards' kernel and firmware"),
    Program("mmdebstrap", "mmdebstrap", "building the boards' Debian root"),
    Program("arch-test", "arch-test", "building the boards' Debian root"),
    Program("qemu-aarch64-static", "qemu-user-static", "building the boards' images"),
)
TCPDUMP = Program("tcpdump", "tcpdump", "captures")


def program_check(program: Program, probes: Probes) -> Check:
    """Whether it is installed."""
    path = probes.which(program.name)
    remedy = f"sudo apt-get install --no-install-recommends {program.package}"
    if path is None:
        return Check(program.name, False, "not installed", remedy, program.needed_for, program.package)
    return Check(program.name, True, path, "", program.needed_for)
