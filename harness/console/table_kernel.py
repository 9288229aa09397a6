# SPDX-License-Identifier: GPL-2.0-or-later
"""Milestones of the Linux kernel, from its first line to the first program, and its troubles at any time.

Sources: Linux; failures as reported in raspberrypi/firmware (FW#). The kernel's stamp "[    1.234567] ", a syslog prefix and
the firmware's prefixes are taken off before these patterns see the line.
"""

from harness.console.rule import Fields, Rule, rule

_IP = r"[\d.]{7,15}"
_MAC = r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"


def _midr(fields: Fields) -> Fields:
    if fields.get("midr"):
        fields["midr"] = "0x" + fields["midr"].removeprefix("0x")
    return fields


RULES: tuple[Rule, ...] = (
    rule(
        "kernel.start",
        "Booting Linux on physical CPU",
        r"Booting Linux on physical CPU (?P<cpu>0x[0-9a-f]{1,16})(?: \[(?P<midr>0x[0-9a-f]{8})\])?",
        "Linux arm, arm64",
    ),
    rule(
        "kernel.version",
        "Linux version",
        r"Linux version (?P<release>\S{1,64}) (?:[^#\r\n]{0,400}(?P<build>#\d{1,6}\S{0,20} [^\r\n]{1,120}))?",
        "Linux",
    ),
    rule(
        "kernel.cpu", "Boot CPU:", r"Boot CPU: AArch64 Processor \[(?P<midr>(?:0x)?[0-9a-f]{8})\]", "<= 4.14", fix=_midr
    ),
    rule("kernel.cpu", "ARMv7 Processor", r"CPU: ARMv7 Processor \[(?P<midr>[0-9a-f]{8})\]", "Linux arm", fix=_midr),
    rule("kernel.machine", "achine model:", r"(?:OF: fdt: ?)?[Mm]achine model: (?P<model>.{1,100})", "Linux"),
    rule("kernel.cmdline", "Kernel command line:", r"Kernel command line: (?P<cmdline>.{0,4096})", "Linux"),
    rule(
        "kernel.firmware",
        "Attached to firmware",
        r".{0,60}Attached to firmware from (?P<date>\d{4}-\d\d-\d\d)",
        "Linux",
    ),
    rule(
        "kernel.uart",
        " at MMIO",
        r"(?P<address>[0-9a-f]{6,10})\.(?:serial|uart): (?P<tty>tty\w{1,12}) at MMIO",
        "Linux",
    ),
    rule(
        "kernel.console",
        "] enabled",
        r"(?:printk: )?(?:legacy )?console \[(?P<tty>tty[A-Z]\w{1,12})\] enabled",
        "Linux",
    ),
    rule(
        "kernel.bootconsole_off",
        "bootconsole [",
        r"(?:printk: )?(?:legacy )?bootconsole \[(?P<tty>\w{1,12})\] disabled",
    ),
    rule("kernel.nic", "lan78xx ", r"(?P<driver>lan78xx) \d", "3B+", once=True),
    rule("kernel.nic", "smsc95xx ", r"(?P<driver>smsc95xx) \d", "3B and older", once=True),
    rule("kernel.nic", "bcmgenet ", r"(?P<driver>bcmgenet) \w", "Pi 4", once=True),
    rule("kernel.nic", "macb ", r"(?P<driver>macb) \w", "Pi 5", once=True),
    rule("kernel.nic", "muge0: ", r"(?P<driver>muge)0: ", "FreeBSD on a 3B+", once=True),
    rule(
        "kernel.link_up",
        "ink ",
        r".{0,100}?(?P<ifname>\w{2,15}): [Ll]ink (?:is )?[Uu]p(?:,| -) (?P<speed>\d{1,6} ?[GM]bps)",
        "lan78xx, smsc95xx, bcmgenet, macb",
    ),
    rule("kernel.link_ready", "link becomes ready", r"IPv6: .{0,40}?(?P<ifname>\w{2,15}): link becomes ready", "Linux"),
    rule(
        "kernel.wait_network",
        "more seconds for network",
        r"Waiting up to (?P<seconds>\d{1,4}) more seconds for network",
    ),
    rule(
        "kernel.dhcp",
        "Sending DHCP requests",
        r"Sending DHCP requests \.{0,60},? ?(?P<result>OK|timed out!)?",
        "CONFIG_IP_PNP",
    ),
    rule(
        "kernel.ip_answer",
        "IP-Config: Got",
        rf"IP-Config: Got (?P<protocol>\w{{4,6}}) answer from (?P<server>{_IP}), my address is (?P<address>{_IP})",
        "CONFIG_IP_PNP, FW#249",
    ),
    rule("kernel.ip_complete", "IP-Config: Complete", r"IP-Config: Complete:", "CONFIG_IP_PNP"),
    rule(
        "kernel.ip_config",
        "device=",
        rf"device=(?P<ifname>[\w.-]{{1,15}}), hwaddr=(?P<mac>{_MAC}), ipaddr=(?P<address>{_IP}), mask=(?P<mask>{_IP}), "
        rf"gw=(?P<gw>{_IP})",
        "CONFIG_IP_PNP",
    ),
    rule(
        "kernel.ip_servers",
        "bootserver=",
        rf"bootserver=(?P<bootserver>{_IP}), rootserver=(?P<rootserver>{_IP}), rootpath=(?P<rootpath>\S{{0,255}})",
        "CONFIG_IP_PNP",
    ),
    rule(
        "kernel.ip_error",
        "IP-Config: ",
        r"IP-Config: (?P<text>No network devices.{0,60}|Failed to open.{0,60}|Auto-.{0,80}failed.{0,40})",
    ),
    rule(
        "kernel.wait_root",
        "Waiting for root device",
        r"Waiting for root device (?P<device>\S{1,120}?)(?:\.\.\.)?$",
        "rootwait",
    ),
    rule(
        "kernel.nfsroot_mounted",
        "VFS: Mounted root (nfs",
        r"VFS: Mounted root \((?P<fstype>nfs\d?) filesystem\)(?P<readonly> readonly)? on device (?P<device>[\d:]{1,12})",
        "FW#249",
    ),
    rule(
        "kernel.root_mounted",
        "VFS: Mounted root (",
        r"VFS: Mounted root \((?P<fstype>(?!nfs)\w{1,16}) filesystem\)(?P<readonly> readonly)? on device (?P<device>[\d:]{1,12})",
        "Linux",
    ),
    rule("kernel.init", "as init process", r"Run (?P<path>/\S{1,120}) as init process", "Linux since 4.20"),
    rule(
        "kernel.initramfs_error",
        "Initramfs unpacking failed",
        r"Initramfs unpacking failed: (?P<text>.{0,120})",
        "Linux",
    ),
    rule(
        "kernel.initramfs_error", "is not initramfs", r"rootfs image is not initramfs \((?P<text>.{0,120})\)", "Linux"
    ),
    rule(
        "kernel.root_error",
        "VFS: ",
        r"VFS: (?P<text>Cannot open root device.{0,200}|Unable to mount root fs via NFS.{0,60})",
    ),
    rule("kernel.root_error", "Root-NFS: ", r"Root-NFS: (?P<text>.{1,200})", "CONFIG_ROOT_NFS"),
    rule("kernel.root_error", "No working init found", r"(?P<text>No working init found.{0,120})", "Linux"),
    rule("kernel.panic", "Kernel panic", r"Kernel panic - not syncing: ?(?P<text>.{0,300})", anywhere=True),
    rule("kernel.oops", "Internal error: ", r"Internal error: (?P<text>.{1,120})", "arm, arm64"),
    rule("kernel.oops", "Unable to handle kernel", r"(?P<text>Unable to handle kernel .{1,120})", "arm, arm64"),
    rule("kernel.oops", "kernel BUG at", r"(?P<text>kernel BUG at .{1,120})", anywhere=True),
    rule("kernel.oops", "BUG: ", r"(?:watchdog: )?(?P<text>BUG: .{1,120})", "Linux"),
    rule("kernel.warning", "WARNING: CPU:", r"WARNING: CPU: (?P<text>.{1,160})", "Linux"),
    rule(
        "kernel.stall", "detected stall", r"(?:rcu: )?INFO: (?P<text>\w{1,20} (?:self-)?detected stall.{0,80})", "Linux"
    ),
    rule(
        "kernel.stall",
        "blocked for more than",
        r"INFO: (?P<text>task .{1,80} blocked for more than \d{1,6} seconds)",
        "Linux",
    ),
    rule(
        "kernel.undervoltage",
        "nder-voltage detected",
        r"(?:hwmon \S{1,20} )?Under-voltage detected! ?(?P<text>.{0,40})",
        "Pi",
    ),
    rule(
        "kernel.undervoltage",
        "Undervoltage detected",
        r"(?:hwmon \S{1,20} )?Undervoltage detected!(?P<text>.{0,40})",
        "Pi, 5.15+",
    ),
    rule("kernel.voltage_ok", "oltage normalised", r"(?:hwmon \S{1,20} )?Voltage normalised", "Pi"),
    rule(
        "kernel.nfs_not_responding",
        "not responding",
        r"nfs: server (?P<server>\S{1,64}) not responding, .{0,30}",
        "FW#249",
    ),
    rule("kernel.nfs_ok", " OK", r"nfs: server (?P<server>\S{1,64}) OK", "FW#249"),
    rule("os.poweroff", "reboot: ", r"(?:reboot: )(?:Power down|System halted)", "Linux", anywhere=True),
    rule("os.reboot", "reboot: ", r"reboot: Restarting system", "Linux", anywhere=True),
)
