# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings of the running kernel's stages: kernel, initramfs, root, userspace, login.

NFS status numbers: RFC 1813 (mountstat3). klibc's nfsmount knows `vers=2|3` and `tcp`/`udp`, not `proto=` nor `vers=4`
(raspberrypi/documentation#3205).
"""

from collections.abc import Callable, Iterator

from harness.boot.facts import Facts, line
from harness.boot.findings_console import garbled, mute
from harness.boot.record import Evidence, Finding

_MOUNT_STATUS = {
    1: "not owner",
    2: "no such directory (MNT3ERR_NOENT)",
    5: "I/O error",
    13: "access denied (MNT3ERR_ACCES)",
    20: "not a directory",
    22: "invalid argument",
    10004: "not supported",
    10006: "server fault",
}


def kernel_silent(facts: Facts) -> Iterator[Finding]:
    """The kernel was delivered, and then never spoke."""
    if facts.failed != "kernel" or facts.first("kernel.start") is not None or garbled(facts) or mute(facts):
        return
    last = next((t for t in reversed(facts.tftp) if t.complete), None)
    yield Finding(
        id="kernel-silent",
        title="the kernel was started, but said nothing on the console",
        stage="kernel",
        who="server",
        remedy="check that the kernel fits the board (64-bit Image, not damaged), and console= in cmdline.txt "
        "and enable_uart=1 in config.txt",
        evidence=(Evidence(source="packet", ref=last.last_packet, t=last.end, text=f"{last.path} delivered"),)
        if last
        else (),
    )


def initramfs_broken(facts: Facts) -> Iterator[Finding]:
    """The kernel could not unpack what it was given, or the init in it ended at once.

    A truncated archive without compression is unpacked without a word as far as it goes: what it lacks shows when its init
    misses a file, and the kernel panics because init ended.
    """
    broken = facts.first("kernel.initramfs_error")
    died = facts.fatal if facts.fatal is not None and "kill init" in facts.fatal.text else None
    cause = broken or (died if facts.failed in {"kernel", "initramfs"} else None)
    if cause is not None and facts.failed:
        says = "the kernel could not unpack the initramfs" if broken else "the init of the initramfs ended"
        yield Finding(
            id="initramfs-broken",
            title=f"{says}: {cause.text[:120]}",
            stage=facts.failed,
            who="server",
            remedy="make the initramfs anew (update-initramfs -u) and compare its SHA-256 with the one in the TFTP root",
            evidence=(line(cause),),
        )


def panic(facts: Facts) -> Iterator[Finding]:
    """Kernel panics and oopses."""
    for milestone in facts.seen("kernel.panic", "kernel.oops"):
        fatal = milestone.name == "kernel.panic"
        yield Finding(
            id=milestone.name.replace(".", "-"),
            title=milestone.text[:160],
            stage=facts.failed or "kernel",
            who="server" if "root fs" in milestone.text or "init found" in milestone.text else "board",
            remedy="check root=, the initramfs and the kernel's drivers"
            if "root fs" in milestone.text or "init found" in milestone.text
            else "keep the console log; compare with another kernel version",
            evidence=(line(milestone),),
        )
        if fatal:
            return


def nfs_root(facts: Facts) -> Iterator[Finding]:
    """The NFS server refused, did not answer, or was asked in words that the initramfs does not know."""
    if facts.failed not in {"initramfs", "root"}:
        return
    root, lines = facts.root, list(facts.seen("initramfs.mount_error", "kernel.root_error"))
    evidence = (root.evidence if root is not None else ()) + tuple(line(m) for m in lines[:3])
    if root is not None and root.status:
        wanted = facts.expectation.server.root_source
        yield Finding(
            id="nfs-mount-refused",
            title=f"the NFS server {root.server} refused {root.path}: "
            f"{_MOUNT_STATUS.get(root.status, f'status {root.status}')}",
            stage="root",
            who="server",
            remedy=f"check the path in nfsroot= (cmdline.txt) against the exports (showmount -e {root.server}"
            + (f"; expected {wanted})" if wanted else ")"),
            evidence=evidence,
        )
    elif any("vers" in m.text or "bad option" in m.text for m in lines):
        yield Finding(
            id="nfs-bad-options",
            title=f"the initramfs does not understand the NFS options: {lines[0].text[:120]}",
            stage="root",
            who="server",
            remedy="klibc's nfsmount knows vers=3 and tcp only: use nfsroot=SERVER:/path,vers=3,tcp",
            evidence=evidence,
        )
    elif root is not None and root.protocol == "nfs" and root.status is None:
        yield Finding(
            id="nfs-no-answer",
            title=f"the NFS server {root.server} did not answer the mount request",
            stage="root",
            who="server",
            remedy="check that the NFS server, mountd and rpcbind run there and that no firewall is between",
            evidence=evidence,
        )
    elif lines:
        yield Finding(
            id="root-mount-failed",
            title=f"the root file system was not mounted: {lines[0].text[:120]}",
            stage="root",
            who="server",
            remedy="check root= and nfsroot= in cmdline.txt against what the server exports",
            evidence=evidence,
        )
    elif facts.first("initramfs.ip_no_answer") and not facts.first("initramfs.ip_config"):
        yield Finding(
            id="initramfs-no-address",
            title="the initramfs got no address by DHCP",
            stage="root",
            who="server",
            remedy="check that the DHCP server also answers clients without the PXE class, and the range's size",
            evidence=tuple(line(m) for m in list(facts.seen("initramfs.ip_no_answer"))[:2]),
        )


def dropped_to_shell(facts: Facts) -> Iterator[Finding]:
    """A prompt where a person would have to type."""
    milestone = facts.fatal
    for name, stage, title in (
        ("initramfs.shell", "root", "the initramfs gave up and dropped to a shell"),
        ("systemd.emergency", "userspace", "systemd dropped to an emergency shell"),
        ("uboot.prompt", "kernel", "U-Boot stopped at its prompt"),
    ):
        if milestone is not None and milestone.name == name:
            yield Finding(
                id=name.replace(".", "-"),
                title=f"{title}: {milestone.text[:100]}",
                stage=facts.failed or stage,
                who="server",
                remedy="the lines before it on the console name the cause",
                evidence=(line(milestone),),
            )


def image_without_login(facts: Facts) -> Iterator[Finding]:
    """The user's own image keeps whom lab.yaml names, or everybody, from logging in on the serial console."""
    image = facts.expectation.server.image
    if image is None or facts.failed not in {"userspace", "login"}:
        return
    for why in image.no_login:
        what, _, remedy = why.partition(". ")
        yield Finding(
            id="image-no-login",
            title=f"the image {image.file}: {what}",
            stage=facts.failed,
            who="config",
            remedy=remedy or "change it in the image",
        )


def login_failed(facts: Facts) -> Iterator[Finding]:
    """The prompt was there; the door stayed shut."""
    refused = facts.first("login.failed")
    if facts.failed == "login":
        yield Finding(
            id="login-refused" if refused else "login-silent",
            title="the login was refused" if refused else "the login prompt came, but no shell after it",
            stage="login",
            who="config",
            remedy="check `login:` of the board in lab.yaml (user, and where its password comes from)",
            evidence=(line(refused),) if refused else (),
        )


def health(facts: Facts) -> Iterator[Finding]:
    """Things that did not stop the boot, and that its owner wants to know."""
    undervoltage = facts.first("kernel.undervoltage")
    if undervoltage:
        yield Finding(
            id="undervoltage",
            title="the board reported under-voltage",
            stage="kernel",
            who="lab",
            remedy="use a better supply or a shorter cable; with PoE check the HAT's and the port's power class",
            severity="warning",
            evidence=(line(undervoltage),),
        )
    if facts.os is not None and facts.os.failed_units:
        yield Finding(
            id="failed-units",
            title=f"systemd units failed: {', '.join(facts.os.failed_units)}",
            stage="userspace",
            who="server",
            remedy="log in and read `systemctl status` and the journal of these units",
            severity="warning",
        )
    full = facts.first("system.no_space")
    if full:
        yield Finding(
            id="root-full",
            title="the board's file system has no space left",
            stage="root",
            who="server",
            remedy="make room where the server keeps the board's root (`df` there), or give the volume more",
            severity="fault" if facts.failed in {"root", "userspace", "login"} else "warning",
            evidence=(line(full),),
        )
    slow = facts.first("kernel.nfs_not_responding")
    if slow:
        yield Finding(
            id="nfs-not-responding",
            title="the NFS server did not respond for a while",
            stage="root",
            who="server",
            remedy="check the load and the network of the NFS server",
            severity="warning",
            evidence=(line(slow),),
        )


OS_RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    kernel_silent,
    initramfs_broken,
    nfs_root,
    dropped_to_shell,
    panic,
    image_without_login,
    login_failed,
    health,
)
