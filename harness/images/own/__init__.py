# SPDX-License-Identifier: GPL-2.0-or-later
"""The user's own image, FILE.img[.xz]: its boot partition and its root, for the topologies, without loop devices.

source      the file: which it is, and unpacked as a sparse file
disk        its partition table and file systems (sfdisk, blkid, mtools): which is boot, which is root
extract     both laid out as folders (mtools, e2fsck, fuse2fs), with owners, modes, devices and capabilities
kernels     what its kernels are, and whether they can drive the emulated machine
rewrite     cmdline.txt, config.txt and fstab, changed as a person would who moves a card's system to the network
system      what is in it: system, users, first-boot wizard
make        all of it, kept in the cache like the sets that are built of Debian's packages
"""
