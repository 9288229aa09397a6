# SPDX-License-Identifier: GPL-2.0-or-later
"""What an initramfs needs for a root on a Ceph RBD volume: the kernel's own client and a boot script of initramfs-tools.

Debian has no such script. The words on the command line are those of the ones that people hand around (LTSP pull request 52,
dracut's rbd module): `boot=rbd rbdroot=MON[,MON...]:USER:KEY:POOL:IMAGE[@SNAPSHOT]:[PARTITION]:[MOUNT OPTIONS]`.
"""

from pathlib import Path

from harness.images import BootSet, modules
from harness.images.parts import add_scripts, complete_modules

#: crc32c_generic: libcrc32c asks the kernel for it, which calls /sbin/modprobe; without, `modprobe rbd` fails in silence.
MODULES = ("rbd", "crc32c_generic", "libcrc32c", "ext4")

# /etc/initramfs-tools/scripts/rbd of a real Pi; `boot=rbd` makes init read it, after scripts/local and scripts/nfs.
SCRIPT = r"""# Root on a Ceph RBD volume			-*- shell-script -*-
# boot=rbd rbdroot=MON[,MON...]:USER:KEY:POOL:IMAGE[@SNAPSHOT]:[PARTITION]:[MOUNT OPTIONS]

rbd_root_word()
{
	local word
	for word in $(cat /proc/cmdline); do
		case $word in
		rbdroot=*) echo "${word#rbdroot=}" ;;
		esac
	done
}

# Sets dev when the kernel has mapped the volume.
rbd_map()
{
	local file=/sys/bus/rbd/add_single_major
	[ -e $file ] || file=/sys/bus/rbd/add
	# The secret must not be seen in an error's text.
	echo "$mons name=$user,secret=$key $pool ${image%%@*} ${snapshot:--}" >$file || return 1
	dev=$(ls -d /sys/bus/rbd/devices/* | tail -n 1)
	dev=/dev/rbd${dev##*/}${partition:+p$partition}
}

mountroot()
{
	local mons user key pool image partition options snapshot= dev= tries=0 roflag=-r
	IFS=: read -r mons user key pool image partition options <<END
$(rbd_root_word)
END
	if [ -z "$image" ]; then
		panic "No volume. Boot arguments must include rbdroot=MON:USER:KEY:POOL:IMAGE."
	fi
	case $image in
	*@*) snapshot=${image#*@} ;;
	esac
	[ "${readonly?}" = y ] || roflag=-w

	/sbin/modprobe af_packet
	/sbin/modprobe rbd single_major=Y
	wait_for_udev 10
	configure_networking

	until rbd_map; do
		echo "rbd: mapping of $pool/$image failed"
		tries=$((tries + 1))
		if [ $tries -ge "${ROOTDELAY:-30}" ]; then
			panic "ALERT!  $pool/$image does not exist.  Dropping to a shell!"
		fi
		log_begin_msg "Retrying rbd map"
		sleep 1
		log_end_msg
	done
	wait_for_udev 10
	mount $roflag -t "${ROOTFSTYPE:-ext4}" ${options:+-o "$options"} "$dev" "${rootmnt?}" ||
		panic "Failed to mount $dev as root file system."
}
"""


def complete(images: BootSet, work: Path) -> None:
    """Lays the script, and what Debian's own initramfs lacks of modules, out in `work`."""
    add_scripts(work, {"rbd": SCRIPT})
    if images.kind != "light":
        complete_modules(images, work, (*MODULES, *(modules.LIGHT_BOOT if images.own is None else ())))
