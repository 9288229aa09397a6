# SPDX-License-Identifier: GPL-2.0-or-later
"""Every milestone, from a line as a board prints it."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.boot.events import Milestone
from harness.console.lines import LineSplitter
from harness.console.milestones import RULES, Milestones
from harness.console.replay import bare

from . import transcripts


def _all(data: bytes) -> list[Milestone]:
    told, _ = bare(data)
    return [event for event in told if isinstance(event, Milestone)]


def _one(line: str) -> dict[str, str] | None:
    """Name and fields of the milestone in one line, that a driver is at work apart."""
    found = [m for m in Milestones().feed_line(1.0, 1, line) if m.name != "kernel.nic"]
    assert len(found) <= 1, found
    return {"name": found[0].name, **found[0].fields} if found else None


def test_pi4_of_2021_to_start4() -> None:
    found = _all(transcripts.PI4_2021)
    assert [m.name for m in found] == [
        "bootloader.banner", "bootloader.mode", "net.wait_link", "net.link", "net.link_ready",
        "net.dhcp_src", "net.yiaddr", "net.siaddr", "net.dhcp_recv", "net.option66", "net.dhcp_src", "net.dhcp_recv",
        "net.config", "net.arp", "tftp.get", "tftp.error", "tftp.complete", "firmware.read_file", "firmware.start_elf",
    ]  # fmt: skip
    banner = found[0].fields
    assert (banner["kind"], banner["date"], banner["serial"], banner["boardrev"]) == (
        "BOOTLOADER",
        "2021-07-06",
        "91cdf03d",
        "c03112",
    )
    assert found[15].fields == {"code": "1", "text": "file /srv/tftp/91cdf03d/start.elf pas trouvé"}
    assert found[14].line == 18
    assert found[14].fields["path"] == "91cdf03d/start4.elf"


def test_pi4_that_gives_up() -> None:
    found = _all(transcripts.PI4_FAILS)
    assert [m.name for m in found] == [
        "bootloader.banner", "bootloader.board", "bootloader.mode", "net.wait_link", "net.link", "net.link_ready",
        "tftp.timeout", "net.stopping", "net.failed", "net.failed", "firmware.not_found", "bootloader.retry",
        "firmware.boot_error", "bootloader.mode", "bootloader.restart",
    ]  # fmt: skip
    assert found[1].fields["boardrev"] == "d03114"
    assert found[12].fields == {"code": "4", "text": "Firmware (start*.elf) not found"}
    assert found[-1].t == 40.51


def test_pi5_with_stamps_before_and_behind() -> None:
    found = _all(transcripts.PI5)
    assert [m.name for m in found] == [
        "bootloader.banner", "bootloader.banner", "bootloader.board", "bootloader.mode", "net.wait_link", "net.link",
        "net.dhcp_src", "net.dhcp_recv", "net.dhcp_recv", "tftp.get", "firmware.dtb", "firmware.load",
        "firmware.initramfs_failed", "firmware.start_os", "firmware.bl31",
    ]  # fmt: skip
    assert [m.fields["kind"] for m in found[:2]] == ["BOOTSYS", "BOOTLOADER"]
    assert found[8].fields == {"type": "NACK", "code": "6", "expect": "ACK"}
    times = [m.t for m in found]
    assert times == sorted(times), "stamps that jump back must not"


def test_pi3_from_bootcode_to_the_glued_kernel() -> None:
    found = _all(transcripts.PI3)
    assert [m.name for m in found] == [
        "bootloader.banner", "bootcode.usb_ethernet", "bootcode.ethernet", "bootcode.link_wait", "bootcode.link",
        "bootcode.dhcp_request", "bootcode.dhcp_wait", "bootcode.arp", "bootcode.arp_ok", "firmware.read_file",
        "firmware.read_file", "firmware.open", "firmware.dtb", "firmware.load", "firmware.cmdline_file", "firmware.load",
        "firmware.start_arm", "kernel.start",
    ]  # fmt: skip
    assert found[13].fields["size"] == "0x0"
    assert (found[-1].line, found[-1].fields["midr"], found[-1].t) == (18, "0x410fd034", 19.6)


def test_kernel_initramfs_systemd_login() -> None:
    found = _all(transcripts.KERNEL_TO_LOGIN)
    assert [m.name for m in found] == transcripts.KERNEL_TO_LOGIN_NAMES
    by_name = {m.name: m.fields for m in found}
    assert by_name["initramfs.ip_config"] == {
        "ifname": "eth0", "server": "10.77.0.1", "mac": "d8:3a:dd:01:02:03", "method": "dhcp", "address": "10.77.0.51",
        "mask": "255.255.255.0",
    }  # fmt: skip
    assert by_name["kernel.cmdline"]["cmdline"].endswith("ip=dhcp")
    assert by_name["systemd.welcome"]["os"] == "Debian GNU/Linux 12 (bookworm)"
    assert by_name["systemd.failed_unit"]["unit"] == "ssh.service"
    assert by_name["systemd.target"]["name"] == "multi-user.target"
    assert by_name["login.prompt"] == {"hostname": "rpi"}


@pytest.mark.parametrize(
    ("line", "name", "fields"),
    [
        ("RPi: BOOTLOADER release VERSION:f626c772 Sep 10 2019 10:41:52", "bootloader.banner", {"date": "2019-09-10"}),
        ("NET_BOOT: e4:5f:01:01:02:03 wait for link TFTP6: (null)", "net.wait_link", {"tftp": "(null)"}),
        ("NET fd49:869:6f93::1000 tftp fd49:869:6f93::1", "net.config", {"ip": "fd49:869:6f93::1000", "mask": ""}),
        ("TFTP ERROR: 1: 'File not found'", "tftp.error", {"code": "1", "text": "File not found"}),
        ("TFTP: 1: File not found", "tftp.error", {"code": "1", "text": "File not found"}),
        ("Loading start4.elf hnd: 0x000054aa", "firmware.read_file", {"path": "start4.elf"}),
        ('  5.28 BMD "kernel_2712.img" not found', "firmware.missing", {"file": "kernel_2712.img"}),
        ("  6.1 HTTP: GET request for http://10.0.0.1:80/x/boot.sig", "", {}),
        ("  6.10 HTTP: GET request for http://10.0.0.1:80/x/boot.sig", "http.get", {"url": "http://10.0.0.1:80/x/boot.sig"}),
        ("HTTP: dns failed", "http.failed", {"text": "dns failed"}),
        ("Host 'fw.example.org' not found.", "http.host_not_found", {"host": "fw.example.org"}),
        ("File signature or hash mismatch", "firmware.signature", {}),
        ("No compatible kernel found", "firmware.kernel_missing", {"file": ""}),
        (
            "MESS:00:00:05.605000:0: dterror: Failed to load Device Tree file 'bcm2711-rpi-4-b.dtb'",
            "firmware.dtb_failed",
            {"file": "bcm2711-rpi-4-b.dtb"},
        ),
        ("MESS:00:00:05.605000:0: dterror: not a valid FDT - err -9", "firmware.dtb_failed", {"file": ""}),
        ("kernel file kernel8.img does not exist", "firmware.kernel_missing", {"file": "kernel8.img"}),
        ("This board requires newer software", "firmware.incompatible", {}),
        ("Failed to initialise link", "bootcode.link_fail", {}),
        ("No response from ARP request", "bootcode.arp_fail", {}),
        ("U-Boot 2025.01 (Jan 01 2025 - 00:00:00 +0000)", "uboot.banner", {"version": "2025.01"}),
        ("=> ", "uboot.prompt", {}),
        ("Loading: #####T T ####", "uboot.tftp_retry", {}),
        ("UEFI firmware (version 2022.11-6 built at 12:00:00 on Jan  1 2023)", "uefi.banner", {}),
        (">>Start PXE over IPv4.", "uefi.pxe", {"family": "IPv4"}),
        ("iPXE 1.21.1+git -- Open Source Network Boot Firmware", "ipxe.banner", {"version": "1.21.1+git"}),
        ("[    0.000000][    T0] Linux version 6.12.1 (a) x", "kernel.version", {"release": "6.12.1"}),
        (
            "[    0.000000] Linux version 6.1.0-50-arm64 (a@b) (gcc-12 (Debian) 12.2) #1 SMP Debian 6.1.176-1 (2026-07-02)",
            "kernel.version",
            {"release": "6.1.0-50-arm64", "build": "#1 SMP Debian 6.1.176-1 (2026-07-02)"},
        ),
        ("[    0.000000] Linux version 6.6.31+rpt-rpi-v8 (a@b) #1 SMP PREEMPT", "kernel.version", {"build": "#1 SMP PREEMPT"}),
        ("<6>[    0.000000] Booting Linux on physical CPU 0x0", "kernel.start", {"midr": ""}),
        ("Nov 28 19:24:36 rpi kernel: IP-Config: Complete:", "kernel.ip_complete", {}),
        ("2026-11-20T19:24:36.123456+00:00 rpi kernel: IP-Config: Complete:", "kernel.ip_complete", {}),
        ("[    9.1] x", "", {}),
        (
            "[    9.100000] bcmgenet fd580000.ethernet eth0: Link is Up - 1Gbps/Full - flow control rx/tx",
            "kernel.link_up",
            {"ifname": "eth0", "speed": "1Gbps"},
        ),
        ("[    9.100000] smsc95xx 1-1.1:1.0 eth0: link up, 100Mbps, full-duplex", "kernel.link_up", {"speed": "100Mbps"}),
        ("[    9.0] IP-Config", "", {}),
        (
            "[   12.200693] IP-Config: Got DHCP answer from 10.77.0.1, my address is 10.77.0.51",
            "kernel.ip_answer",
            {"address": "10.77.0.51", "server": "10.77.0.1", "protocol": "DHCP"},
        ),
        ("[   12.256896] VFS: Mounted root (nfs filesystem) on device 0:19.", "kernel.nfsroot_mounted", {"fstype": "nfs"}),
        ("[   12.256896] VFS: Mounted root (ext4 filesystem) on device 179:2.", "kernel.root_mounted", {"fstype": "ext4"}),
        ("[    1.1] Initramfs", "", {}),
        ("[    1.100000] Initramfs unpacking failed: read error", "kernel.initramfs_error", {"text": "read error"}),
        ("[    1.100000] Kernel panic - not syncing: No working init found.", "kernel.panic", {"text": "No working init found."}),
        ("---[ end Kernel panic - not syncing: VFS: x ]---", "kernel.panic", {}),
        ("[    1.100000] Internal error: Oops: 0000000096000004 [#1] SMP", "kernel.oops", {}),
        ("[    1.100000] Unable to handle kernel NULL pointer dereference at virtual address 0", "kernel.oops", {}),
        ("[    1.100000] Root-NFS: Server returned error -13 while mounting /x", "kernel.root_error", {}),
        ("[    1.100000] VFS: Unable to mount root fs via NFS.", "kernel.root_error", {}),
        ("-sh: write error: No space left on device", "system.no_space", {}),
        ("[    6.231593] hwmon hwmon1: Undervoltage detected!", "kernel.undervoltage", {}),
        ("[    6.231593] Under-voltage detected! (0x00050005)", "kernel.undervoltage", {"text": "(0x00050005)"}),
        ("[   99.000000] nfs: server 10.77.0.1 not responding, still try", "kernel.nfs_not_responding", {"server": "10.77.0.1"}),
        ("[  148.000000] nfs: server 10.77.0.1 OK", "kernel.nfs_ok", {"server": "10.77.0.1"}),
        ("IP-Config: no response after 2 secs - giving up", "initramfs.ip_no_answer", {"seconds": "2"}),
        ("udhcpc: lease of 10.77.0.51 obtained from 10.77.0.1, lease", "initramfs.ip_config", {"address": "10.77.0.51"}),
        ("Begin: Retrying nfs mount ... mount call failed - server replied: Permission denied.", "", None),
        ("nfsmount: bad option 'proto=tcp'", "initramfs.mount_error", {"text": "nfsmount: bad option 'proto=tcp'"}),
        ("invalid value for vers.", "initramfs.mount_error", {"text": "invalid value for vers."}),
        ("NFS over TCP not available from 10.77.0.1", "initramfs.mount_error", {}),
        ("connect: Connection refused", "initramfs.mount_error", {"text": "connect: Connection refused"}),
        ("Gave up waiting for root file system device.  Common problems:", "initramfs.root_missing", {}),
        ("(initramfs) ", "initramfs.shell", {}),
        ("No init found. Try passing init= bootarg.", "initramfs.no_init", {}),
        ("iscsistart: initiator reported error (24 - iSCSI login failed due to authorization failure)", "iscsi.error", {}),
        ("iscsistart: initiator reported error (15 - session exists)", "", {}),
        ("rbd: sysfs write failed", "rbd.error", {}),
        ("[    9.100000] libceph: mon0 (1)10.77.0.1:6789 socket closed (con state V1_BANNER)", "rbd.no_answer", {}),
        ("You are in emergency mode. After logging in, type", "systemd.emergency", {"text": "emergency mode"}),
        ("Give root password for maintenance", "systemd.emergency", {}),
        ("[   20.1] systemd[1]: ssh.service", "", {}),
        (
            "[   20.100000] systemd[1]: ssh.service: Failed with result 'exit-code'.",
            "systemd.failed_unit",
            {"unit": "ssh.service", "result": "exit-code"},
        ),
        ("buildroot login: root", "login.prompt", {"hostname": "buildroot"}),
        ("Last login: Fri Nov 20 20:00:00 UTC 2026 on ttyAMA0", "login.last", {}),
        ("Login incorrect", "login.failed", {}),
        ("Debian GNU/Linux 12 pi /dev/ttyAMA0", "login.banner", {"hostname": "pi", "tty": "ttyAMA0"}),
        ("[*     ] (1 of 4) Job systemd-udev-trigger.s…ice/start running (11s / no limit)", "systemd.waiting", {}),
        ("[  *** ] A start job is running for dev-sda.device (3s / 1min 30s)", "systemd.waiting", {"unit": "dev-sda.device"}),
        ("Password: ", "login.password", {}),
        ("root@rpi:~# ", "shell.prompt", {}),
        ("[root@alarm ~]# ls", "shell.prompt", {}),
        ("~ # ", "shell.prompt", {}),
        ("# a comment in a script", "", {}),
        ("PIBOOT-PROBE cmdline=a=ttyAMA0 b=/dev/nfs ;;", "probe.value", {"key": "cmdline", "value": "a=ttyAMA0 b=/dev/nfs"}),
        ("PIBOOT-PROBE state= ;;", "probe.value", {"key": "state", "value": ""}),
        ("PIBOOT-PROBE cmdline=console=ttyA", "", {}),
        ("[   27.388058] reboot: Power down", "os.poweroff", {}),
        ("[   27.388058] reboot: Restarting system", "os.reboot", {}),
    ],
)  # fmt: skip
def test_single_lines(line: str, name: str, fields: dict[str, str] | None) -> None:
    if fields is None:
        names = [m.name for m in Milestones().feed_line(1.0, 1, line)]
        assert names == ["initramfs.nfs_retry", "initramfs.mount_error"]
        return
    found = _one(line)
    assert (found or {"name": ""})["name"] == name
    assert {key: value for key, value in (found or {}).items() if key in fields} == fields


def test_a_prompt_told_early_is_not_told_again_with_its_answer() -> None:
    splitter, milestones = LineSplitter(), Milestones()
    lines = (
        splitter.feed(1.0, b"rpi login: ") + splitter.feed(2.0, b"root\r\nrpi login: ") + splitter.feed(3.0, b"\r\n")
    )
    found = [m for line in lines for m in milestones.feed(line)]
    assert [(m.name, m.line, m.t) for m in found] == [("login.prompt", 1, 1.0), ("login.prompt", 2, 2.0)]


def test_a_bare_prompt_counts_after_a_login_only() -> None:
    milestones = Milestones()
    assert milestones.feed_line(1.0, 1, "# uname -r") == []
    milestones.feed_line(2.0, 2, "rpi login: root")
    assert [m.name for m in milestones.feed_line(3.0, 3, "# uname -r")] == ["shell.prompt"]


def test_a_driver_is_told_once_per_kernel() -> None:
    milestones = Milestones()
    line = "[    3.719647] lan78xx 1-1.1.1:1.0 (unnamed net_device): deferred multicast write"
    assert [len(milestones.feed_line(1.0, n, line)) for n in range(3)] == [1, 0, 0]
    milestones.feed_line(2.0, 4, "[    0.000000] Booting Linux on physical CPU 0x0")
    assert len(milestones.feed_line(3.0, 5, line)) == 1


def test_names_are_dotted_and_keys_are_in_what_the_patterns_match() -> None:
    for rule in RULES:
        assert re.fullmatch(r"[a-z0-9]+\.[a-z0-9_]+", rule.name), rule.name
        assert rule.key, rule.name
        assert not re.search(r"(?<!\\)[*+]", re.sub(r"\[[^\]]*\]|\\.", "", rule.pattern.pattern)), (
            f"{rule.name}: unbounded repetition"
        )


@given(st.text(max_size=300))
def test_no_text_raises(text: str) -> None:
    Milestones().feed_line(1.0, 1, text)


@pytest.mark.gear  # long
@pytest.mark.parametrize("filling", ["a", " ", "0", ".", "[", "#", "login: ", "Begin: "])
def test_no_line_is_slow(filling: str) -> None:
    """1500 characters that nearly match, behind and before every key: no pattern may go back and forth over them."""
    keys = sorted({rule.key for rule in RULES})
    long = filling * (1500 // len(filling))
    start = time.process_time()
    for key in keys:
        milestones = Milestones()
        for text in (key + long, long + key):
            milestones.feed_line(1.0, 1, text)
    per_line = (time.process_time() - start) / (2 * len(keys))
    assert per_line < 0.002


def test_a_console_log_of_elsewhere_tells_no_secret_either() -> None:
    line = "[    0.000000] Kernel command line: iscsi_password=verysecret1 root=/dev/sda"
    (found,) = Milestones().feed_line(1.0, 1, line)
    assert found.fields["cmdline"] == "iscsi_password=*********** root=/dev/sda"
    assert "verysecret1" not in repr(found)
