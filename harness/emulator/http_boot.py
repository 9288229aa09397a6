# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot mode 7: boot.sig, then boot.img from a web server; all later files come out of that image.

Order and URL: boot-http.adoc, EE#475. Lines and User-Agent: strings of released images; when each is printed, the error
numbers, and that an image of more than 128 MB (96 MB in the first releases) is given up before it is taken are inferred.
HTTPS, names and RSA signatures are not emulated; the SHA-256 in the first line of boot.sig is held against the image.
"""

import hashlib

from harness.emulator import fatdisk, lease, netboot
from harness.emulator.dhcp import address_text
from harness.emulator.effects import Send, Steps, Stream
from harness.emulator.http_message import Response, request
from harness.emulator.machine import Machine
from harness.emulator.tcp import Exchange
from harness.emulator.tftp_message import Server

_DEFAULT_HOST = "fw-download-alias1.raspberrypi.com"
_MOST_SIGNATURE = 65536
_MEBIBYTE = 1 << 20
#: So many lines about a long transfer.
_STEPS = 10


def load(m: Machine) -> Steps[bool]:
    """Link, addresses, both files; the board's RAM disk is set when it is True."""
    if not (yield from _connect(m)):
        return False
    signature = yield from _fetch(m, "boot.sig", _MOST_SIGNATURE)
    if signature is None:
        return False
    image = yield from _fetch(m, "boot.img", (128 if m.release.date >= "2022-04" else 96) * _MEBIBYTE)
    return image is not None and (yield from _mount(m, signature, image))


def _connect(m: Machine) -> Steps[bool]:
    host = m.eeprom.http_host
    if not (yield from netboot.link(m)):
        return False
    if host is None:
        yield m.uart.line(f"Host '{_DEFAULT_HOST}' not found.")
        yield m.uart.line("HTTP: dns failed")
        return False
    return (yield from lease.obtain(m, host)) and (yield from netboot.find_server(m))


def _mount(m: Machine, signature: bytes, image: bytes) -> Steps[bool]:
    digest = hashlib.sha256(image).hexdigest()
    first = signature.split(b"\n", 1)[0].strip().lower()
    if first != digest.encode():
        yield m.uart.line("File signature or hash mismatch")
        return False
    m.ramdisk = fatdisk.open_disk(image)
    if m.ramdisk is None:
        yield m.uart.line("Partition is not FAT")
        return False
    m.notes.append(
        f"all files came out of boot.img ({len(image)} bytes, SHA-256 {digest}) by HTTP; the signature in boot.sig was "
        "not checked, its hash was"
    )
    return True


def _fetch(m: Machine, name: str, largest: int) -> Steps[bytes | None]:
    uart, host = m.uart, address_text(m.server)
    shown = host if m.eeprom.http_port == 80 else f"{host}:{m.eeprom.http_port}"
    folder = f"/{m.eeprom.http_path}" if m.eeprom.http_path else ""
    path = f"{folder}/{name}"
    yield uart.line(f"Loading {name} ...")
    yield uart.line(f"HTTP: GET request for http://{host}:{m.eeprom.http_port}{path}")
    agent = f"rpiboot/1.0 ({m.identity.revision:x}; version:{m.release.version} timestamp:{m.release.stamp})"
    response = Response(largest)
    m.port = m.port + 1 if m.port else m.rng.randrange(32768, 60000)
    exchange = Exchange(
        m.stack,
        Server(m.server_mac, m.server),
        (m.port, m.eeprom.http_port),
        request(shown, path, agent),
        response,
        now=m.clock(),
        sequence=m.rng.getrandbits(32),
    )
    yield Send(exchange.start())
    exchange.pause = _MEBIBYTE
    while not exchange.outcome:
        yield Stream(exchange)
        if not exchange.outcome:
            # Paused after a part of a long transfer, to say so.
            got, whole = len(response.body), response.length
            if whole > 0:
                yield uart.line(f"HTTP: got {got * 100 // whole}% at {got}")
            exchange.pause = 1 << 62 if response.complete else got + max(whole // _STEPS, _MEBIBYTE)
    if exchange.outcome == "complete":
        yield uart.line(f"Read {name} bytes {len(response.body):8d} hnd 0x0")
        return bytes(response.body)
    yield uart.line("HTTP: timeout event" if exchange.outcome == "timeout" else "HTTP: web client failed")
    yield uart.line(f"Error 3 loading {name}")
    return None
