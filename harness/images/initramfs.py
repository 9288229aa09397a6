# SPDX-License-Identifier: GPL-2.0-or-later
"""What both initramfs have in common: the network card's link is up before ipconfig asks for an address.

klibc's ipconfig 2.0.12 asks at once and does not get through while Linux has not reported the card's link up, which takes
it up to 1 s (net/core/link_watch.c); the next attempt comes 10 s later ("IP-Config: no response after 2 secs - giving up").
On a Pi the bootloader has just used the card. The script stands where initramfs-tools has administrators put such things.
"""

# /etc/initramfs-tools/scripts/init-premount/link of an administrator who waits for the link.
LINK_UP = """#!/bin/sh
# Switches the network cards on and gives their links up to 3 s to come up.
[ "$1" = prereqs ] && exit 0
for card in /sys/class/net/e*; do
  [ -e "$card" ] && ip link set "${card##*/}" up
done
tries=0
until grep -qs -e up -e unknown /sys/class/net/e*/operstate || [ $tries -ge 150 ]; do
  usleep 20000
  tries=$((tries + 1))
done
exit 0
"""
