# SPDX-License-Identifier: GPL-2.0-or-later
"""Which initramfs goes with a boot set: its own mounts a root by NFS v3; other roots need another one."""

from harness.errors import HarnessBug
from harness.images import BootSet

#: nfs: the boot set's own, whose klibc nfsmount knows NFS v3 only.
FLAVOURS = ("nfs",)


def with_initramfs(images: BootSet, flavour: str) -> BootSet:
    """The boot set with the initramfs of a flavour."""
    if flavour not in FLAVOURS:
        raise HarnessBug(f"there is no initramfs {flavour!r}, only {', '.join(FLAVOURS)}")
    return images
