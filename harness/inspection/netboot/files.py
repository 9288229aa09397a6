# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that a board would fetch over TFTP, fetched as its firmware does: prefix and probes, config.txt understood, up to the
kernel. What is missing is told by the judge's rules, which know what a board does without.
"""

import hashlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.boot.events import Milestone
from harness.boot.expect import ExpectedServer
from harness.boot.files import may_be_missing
from harness.boot.findings_net import files_missed, missing_files, transfers_broken
from harness.boot.findings_rom import no_option_support
from harness.boot.record import Finding, TftpTransfer
from harness.emulator import bootcode, bootloader, bootrom, bootrom_dhcp, bootrom_net
from harness.emulator.effects import Steps
from harness.emulator.payload import Payload
from harness.emulator.stack import EEPROM, START4
from harness.inspection.netboot.dhcp import facts_of
from harness.inspection.netboot.pi import Pi
from harness.inspection.netboot.seen import File
from harness.inspection.netboot.wire import SILENCE, Ended, Got, Walk

#: A locally administered address: whose the server's MAC is does not matter on our sockets.
_SOMEBODY = b"\x02\0\0\0\0\x01"
#: What the board would be called if nobody gave it an address (RFC 5737).
_NOBODY = socket.inet_aton("192.0.2.1")


@dataclass(frozen=True)
class Fetched:
    """outcome: what the board would do, in words; starts: whether that is to start its kernel; prefix: None when nothing came."""

    files: tuple[File, ...]
    findings: tuple[Finding, ...]
    outcome: str
    starts: bool
    prefix: str | None
    cmdline: str | None


def fetch(
    pi: Pi, server: str, address: str | None, expected: ExpectedServer, deadline: float, silence: float = SILENCE
) -> Fetched:
    """server: the TFTP server; address: that the board was offered; deadline: time.monotonic(); silence: seconds. Never raises
    for what comes.
    """
    m = pi.machine
    m.stack.use(START4 if pi.is_rom else EEPROM)
    m.stack.ip = socket.inet_aton(address) if address else _NOBODY
    m.server, m.server_mac, m.port = socket.inet_aton(server), _SOMEBODY, 0
    walk = Walk(pi, server, deadline, silence)
    ended: Payload | str | None
    try:
        ended = walk.run(_rom(pi) if pi.is_rom else bootloader.load(m))
    except Ended as why:
        ended = str(why)
    starts = isinstance(ended, Payload)
    outcome = outcome_of(pi, ended)
    cmdline = ended.cmdline_received if isinstance(ended, Payload) else None
    prefix = m.prefix if walk.got else None
    findings = [*_judged(pi, walk.got, server, expected, outcome, starts=starts)]
    findings += payload_findings(pi, ended) if isinstance(ended, Payload) else ()
    files = tuple(_files(pi, walk.got, expected))
    findings += _held_against_root(files, expected)
    if starts and expected.prefix is not None and prefix != expected.prefix:
        where = prefix or "the TFTP root"
        findings.append(
            finding(
                "tftp-prefix",
                f"the board would take its files from {where}, not from {expected.prefix or 'the TFTP root'} as lab.yaml says",
                f"put all its files into {expected.prefix or 'the TFTP root'}, or change `prefix:` of the server's `tftp:`",
                warning=True,
            )
        )
    return Fetched(files, tuple(findings), outcome, starts, prefix, cmdline)


def _rom(pi: Pi) -> Steps[Payload | str]:
    """A boot ROM and what it loads, with the server known."""
    m = pi.machine
    if pi.settings.otp.sd_card != "bootcode":
        client = bootrom_dhcp.client_of(pi.settings.model.name, strict=pi.settings.otp.strict)
        files = bootrom_net.FileReader(m, client.ports[0], plain=True, idle=30.0)
        code = yield from files.get(bootrom.BOOTCODE)
        if code is None:
            return f"no {bootrom.BOOTCODE} in the TFTP root: the boot ROM asks for nothing else"
        yield from files.get(bootrom.BOOTSIG)
    return (yield from bootcode.load(m))


def outcome_of(pi: Pi, ended: Payload | str | None) -> str:
    if isinstance(ended, Payload):
        return f"would start {ended.kernel.path}" + (
            f" with {ended.initramfs.path}" if ended.initramfs else " without initramfs"
        )
    return ended or f"the bootloader of a {pi.settings.model.title} would give up and begin again"


def _transfer(got: Got, server: str) -> TftpTransfer:
    return TftpTransfer(
        path=got.path,
        result=got.result,
        kind="probe" if got.kind == "probe" else "get",
        client_ip="",
        server_ip=server,
        client_port=0,
        server_port=0 if got.result == "timeout" else 1,
        start=got.start,
        end=got.start + got.seconds,
        duration_s=got.seconds,
        bytes=got.size if got.kind == "get" else 0,
        oack=got.oack,
        error_code=got.error[0] if got.result in {"not found", "refused"} else None,
        error_text=got.error[1],
        first_packet=0,
        last_packet=0,
    )


def _judged(
    pi: Pi, got: Sequence[Got], server: str, expected: ExpectedServer, outcome: str, *, starts: bool
) -> Iterator[Finding]:
    """The judge's rules; evidence is packets, of which there are none."""
    transfers = tuple(_transfer(one, server) for one in got)
    # Of a kernel that starts the rules know that the other names of it were only tried.
    said = (Milestone(t=0.0, line=0, name="kernel.start", text=""),) if starts else ()
    facts = facts_of(pi, expected, "" if starts else "firmware", tftp=transfers, milestones=said)
    rules = (no_option_support, missing_files, files_missed, transfers_broken)
    found = [one.model_copy(update={"evidence": ()}) for rule in rules for one in rule(facts)]
    if not starts and not any(one.severity == "fault" for one in found):
        found.append(finding("files-useless", f"the board would not start a kernel: {outcome}", "see the files above"))
    yield from found


def payload_findings(pi: Pi, payload: Payload) -> Iterator[Finding]:
    if not payload.dtb_ok:
        yield finding(
            "wrong-device-tree",
            f"{payload.dtb.path} is a device tree of {', '.join(payload.compatible) or 'no board'}, "
            f"not of a {pi.settings.model.title}",
            f"give the board {pi.settings.model.dtb} of its own kernel, or correct device_tree= in config.txt",
        )
    if not payload.cmdline_received:
        yield finding(
            "cmdline-missing",
            "there is no cmdline.txt, or an empty one: the kernel does not know its root",
            "write one, e.g. with root=/dev/nfs nfsroot=… ip=dhcp rootwait",
        )
    for note in payload.notes:
        if note.startswith("initramfs "):
            yield finding("initramfs-missing", note, "put it there, or take it out of config.txt", warning=True)


def _files(pi: Pi, got: Sequence[Got], expected: ExpectedServer) -> Iterator[File]:
    """Each file once: a whole one rather than a probe of it, and in the order of the first request."""
    best: dict[str, Got] = {}
    for one in got:
        path = "/".join(part for part in one.path.split("/") if part)
        known = best.get(path)
        if known is None or (known.result != "complete" and one.result == "complete"):
            best[path] = one
    for path, one in best.items():
        yield File(
            path=path,
            result=one.result,
            kind=one.kind,
            size=one.size,
            seconds=one.seconds,
            sha256=one.sha256,
            local=held_against(expected.tftp_root, path, one.sha256),
            normal=one.result == "not found" and may_be_missing(pi.settings.model.name, path),
        )


def held_against(root: str | None, path: str, digest: str | None) -> str:
    """What came (its SHA-256) against what lies at `path` below the server's root folder: "same", "differs", "missing" or
    "unreadable"; "" when there is nothing to compare.
    """
    if root is None or digest is None:
        return ""
    try:
        with (Path(root) / path.lstrip("/")).open("rb") as file:
            return "same" if hashlib.file_digest(file, "sha256").hexdigest() == digest else "differs"
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError):
        return "unreadable"


def _held_against_root(files: Sequence[File], expected: ExpectedServer) -> Iterator[Finding]:
    wrong = [file for file in files if file.local in {"differs", "missing"}]
    if wrong:
        told = ", ".join(
            f"{file.path} ({'is not there' if file.local == 'missing' else file.local})" for file in wrong[:6]
        )
        yield finding(
            "tftp-differs-from-root",
            f"what the TFTP server delivers is not what lies in {expected.tftp_root}: {told}",
            "is that folder the server's root (dnsmasq: tftp-root=, tftp-unique-root=), and does another server answer there?",
        )
    closed = [file.path for file in files if file.local == "unreadable"]
    if closed:
        yield finding(
            "tftp-root-unreadable",
            f"{', '.join(closed[:4])} below {expected.tftp_root} may not be read by this user",
            "run this with sudo to have the files compared",
            warning=True,
        )


def finding(identity: str, title: str, remedy: str, *, warning: bool = False) -> Finding:
    return Finding(
        id=identity,
        title=title,
        stage="firmware",
        who="server",
        remedy=remedy,
        severity="warning" if warning else "fault",
    )
