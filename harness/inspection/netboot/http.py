# SPDX-License-Identifier: GPL-2.0-or-later
"""boot.sig and boot.img from a web server, for boards with a 7 in their BOOT_ORDER; what they start comes out of that image."""

import hashlib
import http.client
import time
from collections.abc import Iterator

from harness.boot.record import Finding
from harness.emulator import bootloader, fatdisk
from harness.emulator.payload import Payload
from harness.inspection.netboot.files import Fetched, finding, held_against, outcome_of, payload_findings
from harness.inspection.netboot.pi import Pi
from harness.inspection.netboot.seen import File
from harness.inspection.netboot.wire import Ended, Walk

_TIMEOUT = 5.0
_LARGEST = {"boot.sig": 1 << 16, "boot.img": 128 << 20}
_REMEDY = "put boot.sig and boot.img where HTTP_PATH of the board's EEPROM, and `http:` of the server in lab.yaml, say"


def fetch(pi: Pi, url: str, root: str | None, deadline: float) -> Fetched:
    """url: the folder; root: the server's root folder on this machine; deadline: time.monotonic()."""
    files: list[File] = []
    bodies: dict[str, bytes] = {}
    findings: list[Finding] = []
    for name, largest in _LARGEST.items():
        begin = time.monotonic()
        result, body = _get(f"{url}{name}", largest, deadline)
        digest = hashlib.sha256(body).hexdigest() if result == "complete" else None
        path = "/" + url[7:].partition("/")[2] + name
        files.append(
            File(
                path,
                result,
                "get",
                len(body),
                round(time.monotonic() - begin, 4),
                digest,
                held_against(root, path, digest),
            )
        )
        if result == "complete":
            bodies[name] = body
        else:
            findings.append(finding("http-boot", f"{url}{name}: {result}", _REMEDY))
    ended: Payload | str | None = "boot.sig or boot.img cannot be fetched"
    if len(bodies) == 2:
        ended = _start(pi, bodies, url, deadline)
        findings += _of(pi, ended)
    for file in files:
        if file.local in {"differs", "missing"}:
            findings.append(
                finding(
                    "http-differs-from-root",
                    f"{file.path} is not what lies in {root}",
                    "is that folder the server's root?",
                )
            )
    starts = isinstance(ended, Payload)
    cmdline = ended.cmdline_received if isinstance(ended, Payload) else None
    return Fetched(tuple(files), tuple(findings), outcome_of(pi, ended), starts, None, cmdline)


def _start(pi: Pi, bodies: dict[str, bytes], url: str, deadline: float) -> Payload | str | None:
    if bodies["boot.sig"].split(b"\n", 1)[0].strip().lower() != hashlib.sha256(bodies["boot.img"]).hexdigest().encode():
        return "the first line of boot.sig is not the SHA-256 of boot.img: the board refuses it"
    pi.machine.ramdisk = fatdisk.open_disk(bodies["boot.img"])
    if pi.machine.ramdisk is None:
        return "boot.img is no FAT file system: the board refuses it"
    try:
        return Walk(pi, url, deadline).run(bootloader.load(pi.machine))
    except Ended as why:
        return str(why)


def _of(pi: Pi, ended: Payload | str | None) -> Iterator[Finding]:
    if isinstance(ended, Payload):
        yield from payload_findings(pi, ended)
    else:
        yield finding("http-boot", f"the board would not start a kernel: {outcome_of(pi, ended)}", _REMEDY)


def _get(url: str, largest: int, deadline: float) -> tuple[str, bytes]:
    """The result, as of harness.boot.record.HttpFetch, and the body."""
    host, _, path = url[7:].partition("/")
    name, _, port = host.partition(":")
    connection = http.client.HTTPConnection(name, int(port or 80), timeout=_TIMEOUT)
    try:
        connection.request("GET", f"/{path}", headers={"User-Agent": "rpiboot/1.0"})
        answer = connection.getresponse()
        if answer.status != 200:
            return "not found" if answer.status == 404 else f"refused ({answer.status})", b""
        body = bytearray()
        while piece := answer.read(1 << 16):
            body += piece
            if len(body) > largest:
                return "too large", b""
            if time.monotonic() > deadline:
                return "timeout", b""
        return "complete", bytes(body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"no answer ({getattr(error, 'strerror', None) or type(error).__name__})", b""
    finally:
        connection.close()
