# SPDX-License-Identifier: GPL-2.0-or-later
"""Console transcripts written for these tests, after the shapes that real boards print; addresses and serials are made up."""

PI4_2021 = b"""\
RPi: BOOTLOADER release VERSION:c258ef8f DATE: Jul  6 2021 TIME: 11:44:56 BOOTMODE: 0x00000006 part: 0 \
BUILD_TIMESTAMP=1625568293 0x91cdf03d 0x00c03112 0x000c5fe0\r
Boot mode: NETWORK (02) order f1\r
GENET: RESET_PHY\r
NET_BOOT: dc:a6:32:01:02:03 wait for link TFTP: 0.0.0.0\r
LINK STATUS: speed: 1000 full duplex\r
Link ready\r
DHCP src: 02:00:00:00:00:01 10.77.0.1\r
YI_ADDR 10.77.0.51\r
SI_ADDR 10.77.0.1\r
OPTIONS:-\r
\top: 53 len:   1 DHCP recv OFFER (2) expect OFFER\r
\top: 54 len:   4 10.77.0.1\r
\top: 66 len:   9 10.77.0.1[66]: 10.77.0.1\r
DHCP src: 02:00:00:00:00:01 10.77.0.1\r
\top: 53 len:   1 DHCP recv ACK (5) expect ACK\r
NET 10.77.0.51 255.255.255.0 gw 10.77.0.1 tftp 10.77.0.1\r
ARP 10.77.0.1 02:00:00:00:00:01\r
TFTP_GET: 02:00:00:00:00:01 10.77.0.1 91cdf03d/start4.elf\r
TFTP 1: file /srv/tftp/91cdf03d/start.elf pas trouv\xc3\xa9\r
TFTP: complete 2250001\r
Read 91cdf03d/config.txt bytes      217 hnd 0x0\r
Starting start4.elf @ 0xfec00200 partition 0\r
"""

PI4_FAILS = b"""\
  2.12 RPi: BOOTLOADER release VERSION:5f18ffb6 DATE: 2024/07/30 TIME: 14:02:35\r
  2.13 BOOTMODE: 0x06 partition 0 build-ts BUILD_TIMESTAMP=1722344555 serial 91cdf03d boardrev d03114 stc 511954\r
  2.52 Boot mode: NETWORK (02) order f1\r
  2.40 NETWORK: d8:3a:dd:01:02:03 wait for link TFTP: 0.0.0.0\r
  5.21 LINK STATUS: speed: 100 half duplex\r
  5.22 Link ready\r
 40.01 TFTP: disconnect: timeouts 1\r
 40.02 Stopping network\r
 40.03 NETBOOT CANCEL\r
 40.04 NETBOOT init failed\r
 40.05 Firmware not found\r
 40.06 Retry NETWORK 1\r
 40.10 BOOT ERROR: code 4 - 'Firmware (start*.elf) not found'\r
 40.50 Boot mode: RESTART (0f) order 0\r
 40.51 Restart 1 max -1\r
"""

PI5 = b"""\
  1.43 RPi: BOOTSYS release VERSION:897f94ed DATE: 2025/03/27 TIME: 15:00:00\r
  4.10 RPi: BOOTLOADER release VERSION:897f94ed DATE: 2025/03/27 TIME: 15:00:00\r
  4.10 BOOTMODE: 0x06 partition 0 build-ts BUILD_TIMESTAMP=1743087600 serial a1b2c3d4 boardrev d04170 stc 4159326\r
  7.52 Boot mode: NETWORK (02) order f\r
  7.14 NETWORK: d8:3a:dd:04:05:06 wait for link TFTP: 0.0.0.0\r
 10.39 LINK STATUS: speed: 1000 full duplex\r
 18.54 DHCP src: 02:00:00:00:00:02 10.77.0.2\r
        op: 53 len:   1 DHCP recv OFFER (2) expect OFFER 18.61\r
        op: 53 len:   1 DHCP recv NACK (6) expect ACK 19.27\r
 19.60 TFTP_GET: 02:00:00:00:00:01 10.77.0.1 a1b2c3d4//kernel_2712.img\r
 20.00 MESS:00:00:20.002956:0: dtb_file 'bcm2712-rpi-5-b.dtb'\r
 20.01 Loading 'initramfs_2712' to 0x00000000 offset 0x0\r
 20.30 MESS:00:00:20.300000:0: Failed to load 'initramfs_2712' - initramfs disabled\r
 20.79 MESS:00:00:20.794805:0: Starting OS 20794 ms\r
\r
NOTICE:  BL31: v2.6(release):v2.6-240-gfc45bc492\r
"""

PI3 = b"""\
Raspberry Pi Bootcode\r
USB ethernet boot\r
Initialise ethernet with MAC b8:27:eb:01:02:03\r
Wait for Link up\r
Link up\r
Sending DHCP request\r
Waiting for dhcp_reply\r
ARP request: my IP addr 10.77.0.51 my eth_addr b8:27:eb:01:02:03 ARP for addr 10.77.0.1\r
Done ARP for 10.77.0.1 got 02:00:00:00:00:01\r
Read File: config.txt, 211 (bytes)\r
Read File: start.elf, 2884708 (bytes)\r
MESS:00:00:19.050536:0: brfs: File read: /mfs/sd/config.txt\r
MESS:00:00:19.233990:0: dtb_file 'bcm2710-rpi-3-b.dtb'\r
MESS:00:00:19.264916:0: Loading 'bcm2710-rpi-3-b.dtb' to 0x100 size 0x0\r
MESS:00:00:19.350000:0: Read command line from file 'cmdline.txt':\r
MESS:00:00:19.400000:0: Loading 'kernel8.img' to 0x80000 size 0x7d5e8\r
MESS:00:00:19.500000:0: arm_loader: Starting ARM with 948MB\r
MESS:00:00:19.600000:0:[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]\r
"""

KERNEL_TO_LOGIN = b"""\
[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd083]\r
[    0.000000] Linux version 6.12.48+deb13-arm64 (debian-kernel@lists.debian.org) #1 SMP Debian\r
[    0.000000] Machine model: linux,dummy-virt\r
[    0.000000] Kernel command line: console=ttyAMA0 boot=nfs root=/dev/nfs nfsroot=10.77.0.1:/srv/nfs/91cdf03d,vers=3 ip=dhcp\r
[    1.912345] Run /init as init process\r
Loading, please wait...\r
Starting systemd-udevd version 252.39-1~deb12u1\r
Begin: Loading essential drivers ... done.\r
Begin: Running /scripts/init-premount ... done.\r
Begin: Mounting root file system ... Begin: Running /scripts/nfs-top ... done.\r
Begin: Running /scripts/nfs-premount ... Begin: Waiting up to 180 secs for any network device to become available ... done.\r
IP-Config: eth0 hardware address d8:3a:dd:01:02:03 mtu 1500 DHCP\r
IP-Config: eth0 guessed broadcast address 10.77.0.255\r
IP-Config: eth0 complete (dhcp from 10.77.0.1):\r
 address: 10.77.0.51       broadcast: 10.77.0.255      netmask: 255.255.255.0   \r
 gateway: 10.77.0.1        dns0     : 10.77.0.1        dns1   : 0.0.0.0         \r
 rootserver: 10.77.0.1 rootpath: \r
done.\r
Begin: Running /scripts/nfs-bottom ... done.\r
Begin: Running /scripts/init-bottom ... done.\r
[    5.100000] systemd[1]: systemd 252.39-1~deb12u1 running in system mode (+PAM +AUDIT)\r
\r
Welcome to \x1b[1mDebian GNU/Linux 12 (bookworm)\x1b[0m!\r
\r
[    5.300000] systemd[1]: Hostname set to <rpi>.\r
[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mssh.service\x1b[0m - OpenBSD Secure Shell server.\r
[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mmulti-user.target\x1b[0m - Multi-User System.\r
\r
Debian GNU/Linux 12 rpi ttyAMA0\r
\r
rpi login: """

KERNEL_TO_LOGIN_NAMES = [
    "kernel.start", "kernel.version", "kernel.machine", "kernel.cmdline", "kernel.init",
    "initramfs.start", "initramfs.udev", "initramfs.start", "initramfs.start", "initramfs.mount_root",
    "initramfs.network", "initramfs.ip_request", "initramfs.ip_complete", "initramfs.ip_config",
    "initramfs.mount_done", "initramfs.mount_done",
    "systemd.start", "systemd.welcome", "systemd.hostname", "systemd.failed_unit", "systemd.target",
    "login.banner", "login.prompt",
]  # fmt: skip
