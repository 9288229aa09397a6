# SPDX-License-Identifier: GPL-2.0-or-later
"""Milestones from the initramfs on: its network and root mount, systemd and other inits, login.

Sources: initramfs-tools and klibc (Debian 12 and 13), systemd 252-257, busybox; failures as reported in
raspberrypi/firmware (FW#), raspberrypi/documentation (DOC#) and RPi-PXE (PXE#). The kernel's stamp "[    1.234567] ", a
syslog prefix and the firmware's prefixes are taken off before these patterns see the line.
"""

from harness.console.rule import Fields, Rule, rule

_IP = r"[\d.]{7,15}"
_PROMPT = (
    r"(?:[\w.-]{1,64}@[\w.-]{1,64}:[^\s#$]{1,200} ?|\[[\w.-]{1,64}@[\w.-]{1,64} [^\]]{1,100}\] ?"
    r"|[~/][\w./-]{0,100} |(?:ba)?sh-\d[\d.]{1,5})"
)
_MAC = r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"


def _first_word(fields: Fields) -> Fields:
    """ "multi-user.target - Multi-User System" -> "multi-user.target"."""
    for key in ("name", "unit"):
        if key in fields:
            fields[key] = fields[key].split(" - ")[0].removesuffix(".")
    return fields


INITRAMFS: tuple[Rule, ...] = (
    rule("initramfs.start", "Loading, please wait", r"Loading, please wait", "initramfs-tools"),
    rule("initramfs.start", "Begin: Loading essential", r"Begin: Loading essential drivers", "initramfs-tools"),
    rule("initramfs.start", "Begin: Running /scripts/init-premount", r"Begin: Running /scripts/init-premount"),
    rule(
        "initramfs.udev",
        "Starting systemd-udevd",
        r"Starting systemd-udevd version (?P<version>\S{1,40})",
        "initramfs-tools",
    ),
    rule(
        "initramfs.network",
        "network device to become available",
        r".{0,160}?Begin: Waiting up to (?P<seconds>\d{1,4}) secs for any network device to become available",
        "initramfs-tools",
    ),
    rule(
        "initramfs.network",
        "to become available",
        r".{0,160}?Begin: Waiting up to (?P<seconds>\d{1,4}) secs for (?P<ifname>(?!any )\S{1,15}) to become available",
        "initramfs-tools",
    ),
    rule(
        "initramfs.ip_request",
        "hardware address",
        rf"IP-Config: (?P<ifname>\S{{1,15}}) hardware address (?P<mac>{_MAC}) mtu \d{{1,5}}(?: (?P<method>[A-Z]{{4,12}}))?",
        "klibc ipconfig",
    ),
    rule(
        "initramfs.ip_complete",
        " complete",
        rf"IP-Config: (?P<ifname>\S{{1,15}}) complete(?: \((?P<method>\w{{4,8}}) from (?P<server>{_IP})\))?:",
        "klibc ipconfig",
    ),
    rule(
        "initramfs.ip_config",
        "address: ",
        rf"address: (?P<address>{_IP}) {{1,12}}broadcast: {_IP} {{1,12}}netmask: (?P<mask>{_IP})",
        "klibc ipconfig; interface and server are those of the line before",
    ),
    rule(
        "initramfs.ip_config",
        "udhcpc: lease of",
        rf"udhcpc: lease of (?P<address>{_IP}) obtained from (?P<server>{_IP})",
        "busybox udhcpc",
    ),
    rule(
        "initramfs.ip_config", ": leased ", rf"(?P<ifname>\S{{1,15}}): leased (?P<address>{_IP}) for", "dhcpcd (trixie)"
    ),
    rule(
        "initramfs.ip_request",
        "udhcpc: broadcasting",
        r"udhcpc: broadcasting (?:discover|select)",
        "busybox udhcpc",
        once=True,
    ),
    rule(
        "initramfs.ip_no_answer",
        "IP-Config: no response",
        r"IP-Config: no response after (?P<seconds>\d{1,4}) secs",
        "klibc",
    ),
    rule(
        "initramfs.ip_no_answer",
        "ipconfig: ",
        r"(?P<text>ipconfig: (?:no devices to configure|\S{1,20}: SIOC.{1,80}))",
        "klibc",
    ),
    rule(
        "initramfs.ip_no_answer",
        "udhcpc: no lease",
        r"(?P<text>udhcpc: no lease, (?:failing|forking).{0,40})",
        "busybox",
    ),
    rule(
        "initramfs.mount_root",
        "Begin: Mounting root file system",
        r".{0,160}?Begin: Mounting root file system",
        "initramfs-tools",
    ),
    rule("initramfs.nfs_retry", "Begin: Retrying nfs mount", r".{0,2000}?Begin: Retrying nfs mount", "initramfs-tools"),
    rule(
        "initramfs.mount_done",
        "/scripts/nfs-bottom",
        r".{0,2000}?Begin: Running /scripts/nfs-bottom",
        "initramfs-tools",
    ),
    rule(
        "initramfs.mount_done",
        "/scripts/local-bottom",
        r".{0,2000}?Begin: Running /scripts/local-bottom",
        "initramfs-tools",
    ),
    rule(
        "initramfs.mount_done",
        "/scripts/init-bottom",
        r".{0,2000}?Begin: Running /scripts/init-bottom",
        "initramfs-tools",
    ),
    rule(
        "initramfs.mount_error",
        "mount call failed",
        r".{0,400}?(?P<text>mount call failed - server replied: .{1,120})",
        "klibc nfsmount",
    ),
    rule(
        "initramfs.mount_error",
        "bad option",
        r".{0,400}?(?P<text>(?:\S{1,40}: )?bad option.{0,120})",
        "klibc nfsmount, DOC#3205",
    ),
    rule(
        "initramfs.mount_error",
        "invalid value for",
        r".{0,400}?(?P<text>(?:\S{1,40}: )?invalid value for .{1,120})",
        "klibc nfsmount",
    ),
    rule(
        "initramfs.mount_error",
        "NFS over ",
        r".{0,400}?(?P<text>NFS over (?:TCP|UDP) not available from .{1,80})",
        "klibc nfsmount",
    ),
    rule(
        "initramfs.mount_error",
        "onnect: ",
        r".{0,400}?(?P<text>connect: (?:Connection (?:refused|timed out)|N\w{1,10} (?:is )?unreachable|No route to host).{0,60})",
        "klibc nfsmount",
    ),
    rule(
        "initramfs.mount_error", "incomplete reply", r".{0,400}?(?P<text>incomplete reply: .{1,60})", "klibc nfsmount"
    ),
    rule("initramfs.mount_error", "mount.nfs", r"(?P<text>mount\.nfs4?: .{1,200})", "nfs-utils"),
    rule("initramfs.mount_error", "mount: mounting", r"(?P<text>mount: mounting .{1,200} failed: .{1,80})", "busybox"),
    rule("initramfs.no_init", "No init found", r"(?P<text>No init found\. .{0,60})", "initramfs-tools"),
    rule(
        "initramfs.no_init",
        "doesn't have requested",
        r"(?P<text>Target filesystem doesn't have requested .{1,80})",
        "initramfs-tools",
    ),
    rule("initramfs.no_init", "run-init: ", r"(?P<text>run-init: .{1,120})", "klibc"),
    rule(
        "initramfs.root_missing",
        "Gave up waiting",
        r".{0,80}?Gave up waiting for (?P<what>root file system device|.{1,60} device)",
    ),
    rule("initramfs.root_missing", "ALERT!", r"ALERT! {1,3}(?P<what>.{1,160}) does not exist", "initramfs-tools"),
    rule("initramfs.shell", "(initramfs)", r"(?P<text>\(initramfs\))", "initramfs-tools"),
    rule("initramfs.shell", "ropping to a shell", r"(?P<text>.{0,200}?[Dd]ropping to a shell)", "initramfs-tools"),
)

USERSPACE: tuple[Rule, ...] = (
    rule(
        "systemd.start",
        "running in system mode",
        r"(?:systemd\[1\]: )?systemd (?P<version>\d{3}\S{0,40}) running in system mode",
        "systemd",
    ),
    rule("systemd.welcome", "Welcome to ", r"Welcome to (?P<os>.{1,80}?)!$", "systemd"),
    rule(
        "systemd.hostname",
        "ostname ",
        r"systemd\[1\]: (?:Hostname set to|Set hostname to) <(?P<hostname>[^>]{1,64})>",
        "systemd",
    ),
    rule(
        "systemd.target",
        "Reached target ",
        r"(?:\[  OK  \] |systemd\[1\]: )Reached target (?P<name>.{1,120})$",
        fix=_first_word,
    ),
    rule(
        "systemd.failed_unit",
        "[FAILED]",
        r"\[FAILED\] Failed to \w{1,12} (?P<unit>.{1,160})$",
        "systemd",
        fix=_first_word,
    ),
    rule(
        "systemd.failed_unit",
        "Failed with result",
        r"systemd\[1\]: (?P<unit>\S{1,160}): Failed with result '(?P<result>[\w-]{1,40})'",
    ),
    rule(
        "systemd.failed_unit",
        "Failed to start",
        r"systemd\[1\]: Failed to start (?P<unit>.{1,160})$",
        "systemd",
        fix=_first_word,
    ),
    rule(
        "systemd.dependency_failed",
        "[DEPEND]",
        r"\[DEPEND\] Dependency failed for (?P<unit>.{1,160})$",
        fix=_first_word,
    ),
    rule(
        "systemd.timed_out", "[ TIME ]", r"\[ TIME \] Timed out waiting for device (?P<unit>.{1,160})$", fix=_first_word
    ),
    rule(
        "systemd.waiting",
        "start job is running",
        r"\[[ *]{1,8}\] .{0,20}[Aa] start job is running for (?P<unit>.{1,120}?) \(",
    ),
    rule(
        "systemd.waiting",
        "/start running",
        r"\[[ *]{1,8}\] .{0,20}Job (?P<unit>\S{1,120}?)/start running \(",
        "systemd",
    ),
    rule("systemd.emergency", "You are in ", r"You are in (?P<text>emergency mode|rescue mode)", "systemd"),
    rule(
        "systemd.emergency",
        "for maintenance",
        r"(?P<text>(?:Give root password|Press Enter) for maintenance)",
        "sulogin",
    ),
    rule(
        "systemd.emergency",
        "root account is locked",
        r"(?P<text>Cannot open access to console, the root account is locked)",
    ),
    rule("init.start", "syslogd: ", r"Starting syslogd: ", "busybox init (Buildroot)"),
    rule("init.activate", "Please press Enter", r"Please press Enter to activate this console", "busybox init"),
    rule(
        "login.banner",
        "tty",
        r"(?P<os>[A-Z][\w./() -]{2,60}?) (?P<hostname>[\w.-]{1,64}) (?:/dev/)?(?P<tty>tty[A-Z]{1,4}\d{1,3})$",
        "agetty's \\S{PRETTY_NAME}, \\n, \\l",
    ),
    rule("login.banner", "Welcome to Buildroot", r"Welcome to (?P<os>Buildroot)$", "Buildroot", hostname="", tty=""),
    rule(
        "login.prompt",
        " login:",
        r"(?P<hostname>(?!Last login)[\w.-]{1,64}) login:(?: .{0,64})?$",
        "agetty, busybox getty",
    ),
    rule("system.no_space", "No space left", r"No space left on device", "strerror(ENOSPC)", anywhere=True),
    rule("login.password", "assword:", r"[Pp]assword: ?$", "login"),
    rule("login.failed", "ogin incorrect", r"Login incorrect", "login, busybox"),
    rule("login.last", "Last login: ", r"Last login: (?P<text>.{1,80})", "pam_lastlog"),
    rule("shell.prompt", "# ", _PROMPT + "# ", "bash, dash, busybox ash as root"),
    rule("shell.prompt", "$ ", _PROMPT + r"\$ ", "bash, dash, busybox ash"),
    rule(
        "probe.value",
        "PIBOOT-PROBE ",
        r"PIBOOT-PROBE (?P<key>\w{1,40})=(?P<value>.{0,4000}?) ;;$",
        "harness.console.probe",
    ),
)

RULES: tuple[Rule, ...] = INITRAMFS + USERSPACE
