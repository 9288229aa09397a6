# SPDX-License-Identifier: GPL-2.0-or-later
"""Console milestones -> progress: which stage a line shows, what the board waits for there, what has broken."""

from harness.analyze.progress import Progress
from harness.boot.events import Milestone
from harness.boot.facts import line
from harness.boot.marks import NO_ROOT

#: Lines that show a stage; "x." for all names with this beginning. The first that fits wins.
_REACHED: tuple[tuple[str, str], ...] = (
    ("net.link", "link"),
    ("net.link_ready", "link"),
    ("bootcode.link", "link"),
    ("net.config", "dhcp"),
    ("net.dhcp_complete", "dhcp"),
    ("bootcode.arp", "dhcp"),
    ("bootcode.arp_ok", "dhcp"),
    ("tftp.get", "firmware"),
    ("tftp.complete", "firmware"),
    ("firmware.read_file", "firmware"),
    ("firmware.open", "firmware"),
    ("firmware.load", "firmware"),
    ("firmware.dtb", "firmware"),
    ("firmware.dtb_loaded", "firmware"),
    ("firmware.start_elf", "firmware"),
    ("firmware.start_os", "firmware"),
    ("firmware.start_arm", "firmware"),
    ("firmware.bl31", "firmware"),
    ("firmware.mess_start", "firmware"),
    ("firmware.initramfs", "firmware"),
    ("firmware.cmdline_file", "firmware"),
    ("kernel.nfsroot_mounted", "root"),
    ("kernel.root_mounted", "root"),
    ("freebsd.root", "root"),
    ("freebsd.kernel", "kernel"),
    ("freebsd.version", "kernel"),
    ("kernel.", "kernel"),
    ("initramfs.mount_done", "root"),
    ("initramfs.", "initramfs"),
    ("systemd.", "userspace"),
    ("init.", "userspace"),
    ("login.banner", "userspace"),
    ("login.prompt", "login"),
    ("login.last", "login"),
    ("probe.value", "login"),
)
_EXACT = {name: stage for name, stage in _REACHED if not name.endswith(".")}
_BEGINS = tuple((name, stage) for name, stage in _REACHED if name.endswith("."))

_WAITS = {
    "net.wait_link": "link",
    "bootcode.link_wait": "link",
    "net.link_ready": "dhcp",
    "bootcode.dhcp_request": "dhcp",
    "bootcode.dhcp_wait": "dhcp",
    "bootcode.arp_fail": "firmware",
    "tftp.timeout": "firmware",
    "bootloader.insert_sd": "firmware",
    # The kernel is started without it: Linux then says nothing, other payloads may not need it.
    "firmware.dtb_failed": "kernel",
    "kernel.wait_root": "root",
    "kernel.wait_network": "root",
    "kernel.dhcp": "root",
    "initramfs.network": "root",
    "initramfs.ip_request": "root",
    "initramfs.ip_no_answer": "root",
    "initramfs.nfs_retry": "root",
    "initramfs.mount_error": "root",
    "initramfs.root_missing": "root",
    "systemd.waiting": "userspace",
    "systemd.timed_out": "userspace",
}

#: Lines after which a wait is over although the awaited stage does not show yet.
_ANSWERED = frozenset({"kernel.ip_answer", "kernel.ip_complete", "kernel.ip_config", "initramfs.ip_config"})

_FIRMWARE_FAILS = frozenset(
    {
        "firmware.not_found",
        "firmware.boot_error",
        "firmware.halt",
        "firmware.kernel_missing",
        "firmware.incompatible",
    }
)


def stage_of(name: str) -> str | None:
    """The stage that a milestone shows, None for a milestone that shows none by its name alone."""
    return _EXACT.get(name) or next((stage for begin, stage in _BEGINS if name.startswith(begin)), None)


class Reader:
    """Feed it the milestones of one boot."""

    def __init__(self) -> None:
        self.progress = Progress()
        self._initramfs_broken = False
        self._init_ran = False

    def feed(self, milestone: Milestone) -> None:
        progress, name, evidence = self.progress, milestone.name, line(milestone)
        stage = stage_of(name)
        if name in {"kernel.panic", "kernel.root_error"}:
            progress.reach("kernel", evidence)
            progress.fail(self._where(milestone), evidence, final=name == "kernel.panic")
            return
        if stage is not None:
            progress.reach(stage, evidence)
        if name in _WAITS:
            progress.wait(_WAITS[name], evidence)
        elif name in _ANSWERED and progress.waits is not None and progress.waits.stage == "root":
            progress.waits = None
        elif name in _FIRMWARE_FAILS:
            progress.fail("firmware", evidence)
        self._network(milestone)
        self._others(milestone)
        self._initramfs_broken |= name == "kernel.initramfs_error"
        self._init_ran |= name == "kernel.init"

    def _where(self, milestone: Milestone) -> str:
        """The stage that a kernel's last words belong to."""
        progress = self.progress
        if progress.has("root"):
            return "userspace"
        if NO_ROOT.search(milestone.text) and not self._initramfs_broken:
            return "root"
        return "initramfs" if self._init_ran or progress.has("initramfs") else "kernel"

    def _network(self, milestone: Milestone) -> None:
        progress, name, evidence = self.progress, milestone.name, line(milestone)
        fields = milestone.fields
        if name == "net.failed":
            progress.fail("firmware" if progress.has("dhcp") else "dhcp" if progress.has("link") else "link", evidence)
        elif name == "net.dhcp_recv" and fields.get("type") == "ACK":
            progress.reach("dhcp", evidence)
        elif name == "net.dhcp_recv" and fields.get("type") == "NACK":
            progress.wait("dhcp", evidence)
        elif name == "bootcode.link_fail":
            progress.fail("link", evidence)
        elif name == "diag.net" and fields.get("state") == "up":
            progress.reach("link", evidence)
            if fields.get("ip") == "0.0.0.0":  # noqa: S104 - "no address"
                progress.wait("dhcp", evidence)
            else:
                progress.reach("dhcp", evidence)

    def _others(self, milestone: Milestone) -> None:
        progress, name, evidence = self.progress, milestone.name, line(milestone)
        if name == "bootloader.mode":
            progress.special = "rpiboot" if milestone.fields.get("code") == "03" else ""
        elif name == "bootloader.eeprom_updated":
            progress.special = "eeprom-updated"
        elif name in {"initramfs.shell", "initramfs.no_init"}:
            progress.fail("userspace" if progress.has("root") else "root", evidence)
        elif name == "systemd.emergency":
            progress.fail("userspace", evidence)
        elif name == "login.failed":
            progress.fail("login", evidence)
        elif name == "shell.prompt" and progress.has("userspace"):
            if progress.failed_stage == "login":
                progress.failure = None
            progress.reach("login", evidence)
        elif name.startswith(("uboot.", "uefi.", "ipxe.")) and not progress.has("kernel"):
            progress.payload = name.partition(".")[0].replace("uboot", "u-boot")
            progress.waits = None
