# SPDX-License-Identifier: GPL-2.0-or-later
"""Events of boards with a boot ROM: DISCOVERs as their own documentation and logs show them, files as they ask for them."""

from harness.boot.events import DhcpMessage, Event, TransferEnded, TransferStarted
from harness.boot.expect import Expectation
from harness.boot.identity import ROM_XID, WANTS_ROM, WANTS_ROM_NEW
from harness.boot.record import TftpTransfer
from tests.boot import stream
from tests.boot.stream import CLASS, MENU, T0

MAC = "b8:27:eb:07:bc:c6"
SERIAL = bytes.fromhex("c6bc078b")
MENU_SPACES = bytes.fromhex("060103 0a0400505845 0917000014") + b"Raspberry Pi Boot   \xff"
CONSTANT = (97, b"\0" + b"\x44" * 16)
OWN = (97, b"\0" + SERIAL * 4)


def expectation(model: str = "pi3bplus", **changes: object) -> Expectation:
    return stream.expectation(board="pi3", model=model, mac=MAC, serial_number="8b07bcc6", has_console=False, **changes)


def old_discover(t: float, packet: int) -> DhcpMessage:
    """2B v1.2 and 3B: 320 octets."""
    return _discover(t, packet, 320, ((55, WANTS_ROM), CONSTANT, (60, CLASS)))


def new_discover(t: float, packet: int) -> DhcpMessage:
    """3B+ ROM, and bootcode.bin on any board: 322 octets."""
    return _discover(t, packet, 322, ((55, WANTS_ROM_NEW), OWN, (60, CLASS)))


def _discover(t: float, packet: int, length: int, options: tuple[tuple[int, bytes], ...]) -> DhcpMessage:
    return stream.dhcp(
        t, packet, "DISCOVER", xid=ROM_XID, chaddr=MAC, src_mac=MAC, ttl=128, ip_id=0, length=length, options=options
    )


def offer(t: float, packet: int, *options: tuple[int, bytes], **changes: object) -> DhcpMessage:
    own = options or ((54, bytes([10, 77, 0, 1])), (43, MENU_SPACES))
    return stream.dhcp(t, packet, "OFFER", xid=ROM_XID, chaddr=MAC, options=own, **changes)


def fetch(t: float, packet: int, path: str, asked_by: str, result: str = "complete", **changes: object) -> list[Event]:
    options = () if asked_by == "rom" else (("tsize", "0"),)
    values: dict[str, object] = {"asked_by": asked_by, "oack": bool(options) and result == "complete", **changes}
    _, ended = stream.transfer(t, packet, path, result, **values)
    assert isinstance(ended, TransferEnded)
    transfer: TftpTransfer = ended.transfer
    started = TransferStarted(
        t=T0 + t,
        packet=packet,
        path=path,
        client_ip="10.77.0.50",
        client_port=transfer.client_port,
        server_ip=transfer.server_ip,
        ttl=128,
        ip_id=0,
        options=options,
        asked_by=asked_by,
        client_mac=MAC,
    )
    return [started, ended]


def two_stages() -> list[Event]:
    """A 3B+: its ROM, then bootcode.bin 104 ms later, then start.elf."""
    return [
        new_discover(10.0, 1),
        offer(10.01, 2),
        *fetch(10.03, 5, "bootcode.bin", "rom"),
        *fetch(10.2, 90, "bootsig.bin", "rom", "not found"),
        new_discover(10.4, 100),
        offer(10.41, 101),
        *fetch(10.43, 103, "8b07bcc6/start.elf", "bootcode.bin", "early terminate"),
        *fetch(11.0, 110, "8b07bcc6/start.elf", "bootcode.bin"),
        *fetch(12.0, 200, "8b07bcc6/fixup.dat", "bootcode.bin"),
        *fetch(13.0, 220, "8b07bcc6/config.txt", "start.elf"),
        *fetch(14.0, 230, "8b07bcc6/dt-blob.bin", "start.elf", "not found"),
        *fetch(15.0, 240, "8b07bcc6/bcm2710-rpi-3-b-plus.dtb", "start.elf"),
        *fetch(16.0, 250, "8b07bcc6/kernel8.img", "start.elf"),
    ]


__all__ = [
    "MAC",
    "MENU",
    "MENU_SPACES",
    "T0",
    "expectation",
    "fetch",
    "new_discover",
    "offer",
    "old_discover",
    "two_stages",
]
