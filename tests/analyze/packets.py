# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures written by hand: what boards and other netboot clients send, and the answers of a server at 10.77.0.1."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.wire import frames
from tests.wire.frames import BROADCAST, SERVER, SERVER_IP, ack, bootp, data, error, ethernet, ip, oack, rrq, udp

T0 = 1_760_000_000.0
CLASS = b"PXEClient:Arch:00000:UNDI:002001"
WANTS_ROM = bytes.fromhex("2b3c43808182838485868742")
WANTS_EEPROM = bytes.fromhex("01032b3c42438081828384858687")
MENU = bytes.fromhex("060103 0a0400505845 0914000011") + b"Raspberry Pi Boot\xff"
MENU_SPACES = bytes.fromhex("060103 0a0400505845 0917000014") + b"Raspberry Pi Boot   \xff"
SIZE, BIG = ("tsize", "0"), ("blksize", "1468")
PI3_MAC, PI3_SERIAL = "b8:27:eb:07:bc:c6", "8b07bcc6"


@dataclass
class Wire:
    """Frames with their times; `at` moves on by itself."""

    packets: list[tuple[float, bytes]] = field(default_factory=list)
    at: float = T0

    def put(self, *octets: bytes, after: float = 0.001) -> None:
        for one in octets:
            self.at += after
            self.packets.append((self.at, one))

    def pause(self, seconds: float) -> None:
        self.at += seconds

    def save(self, path: Path, *, link: int = 1) -> Path:
        head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)
        body = b"".join(
            struct.pack("<IIII", int(t), round(t % 1 * 1e6) % 1000000, len(one), len(one)) + one
            for t, one in sorted(self.packets)
        )
        path.write_bytes(head + body)
        return path


@dataclass
class Client:
    """A client on a wire. ttl, ip_id, dont_fragment: of its TFTP requests."""

    wire: Wire
    mac: str
    address: str = "10.77.0.100"
    ttl: int = 64
    ip_id: int = 0x506C
    dont_fragment: bool = False
    port: int = 30572
    tid: int = 40000

    def ask(self, xid: int, kind: int, *options: tuple[int, bytes], ttl: int | None = None) -> None:
        payload = bootp((53, bytes([kind])), *options, chaddr=self.mac, xid=xid)
        packet = ip("0.0.0.0", "255.255.255.255", 17, udp(68, 67, payload), ttl=ttl or self.ttl, ip_id=self.ip_id)
        self.wire.put(ethernet(self.mac, BROADCAST, 0x0800, packet))

    def answer(self, xid: int, kind: int, *options: tuple[int, bytes]) -> None:
        own = options or ((54, bytes([10, 77, 0, 1])), (43, MENU_SPACES))
        payload = bootp(
            (53, bytes([kind])), *own, op=2, chaddr=self.mac, xid=xid, yiaddr=self.address, siaddr=SERVER_IP
        )
        packet = ip(SERVER_IP, self.address, 17, udp(67, 68, payload))
        self.wire.put(ethernet(SERVER, self.mac, 0x0800, packet))

    def lease(self, xid: int, *options: tuple[int, bytes]) -> None:
        """DISCOVER, OFFER, REQUEST, ACK."""
        self.ask(xid, 1, *options)
        self.answer(xid, 2)
        self.ask(xid, 3, *(one for one in options if one[0] in {60, 77, 97, 175}))
        self.answer(xid, 5)

    def _send(self, source: int, target: int, payload: bytes) -> None:
        fragment = 0x4000 if self.dont_fragment else 0
        octets = ip(
            self.address, SERVER_IP, 17, udp(source, target, payload), ttl=self.ttl, ip_id=self.ip_id, fragment=fragment
        )
        self.wire.put(ethernet(self.mac, SERVER, 0x0800, octets))

    def _reply(self, source: int, target: int, payload: bytes) -> None:
        octets = ip(SERVER_IP, self.address, 17, udp(source, target, payload))
        self.wire.put(ethernet(SERVER, self.mac, 0x0800, octets))

    def get(self, path: str, *options: tuple[str, str], size: int = 100, blksize: int = 512) -> None:
        """A whole read."""
        self.port, self.tid = self.port + 1, self.tid + 1
        self._send(self.port, 69, rrq(path, *options))
        if options:
            self._reply(self.tid, self.port, oack(("tsize", str(size)), ("blksize", str(blksize))))
            self._send(self.port, self.tid, ack(0))
        for number, block in enumerate(frames.blocks_of(b"x" * size, blksize), 1):
            self._reply(self.tid, self.port, data(number, block))
            self._send(self.port, self.tid, ack(number))

    def miss(self, path: str, *options: tuple[str, str]) -> None:
        self.port, self.tid = self.port + 1, self.tid + 1
        self._send(self.port, 69, rrq(path, *options))
        self._reply(self.tid, self.port, error(1, "Datei nicht gefunden \x1b[31m\u202e"))

    def call(self, path: str, *options: tuple[str, str]) -> None:
        """A request that nobody answers."""
        self.port += 1
        self._send(self.port, 69, rrq(path, *options))

    def connect(self, port: int) -> None:
        packet = ip(self.address, SERVER_IP, 6, frames.tcp(700, port, 2))
        self.wire.put(ethernet(self.mac, SERVER, 0x0800, packet))

    def log_in(self, target: str, status: int) -> None:
        """A Login Request and the target's answer (RFC 7143, 11.12 and 11.13), over the connection of `connect(3260)`."""
        text = f"InitiatorName=iqn.x:pi\0TargetName={target}\0".encode()
        asked = bytes([0x43, 0x87, 0, 0, 0]) + len(text).to_bytes(3) + bytes(40) + text + bytes(-len(text) % 4)
        told = bytes([0x23, 0x87]) + bytes(34) + status.to_bytes(2) + bytes(10)
        request = ip(self.address, SERVER_IP, 6, frames.tcp(700, 3260, 0x18, asked))
        response = ip(SERVER_IP, self.address, 6, frames.tcp(3260, 700, 0x18, told))
        self.wire.put(ethernet(self.mac, SERVER, 0x0800, request), ethernet(SERVER, self.mac, 0x0800, response))


def little(serial: str) -> bytes:
    return bytes.fromhex(serial)[::-1]


def pi3(
    wire: Wire, mac: str = PI3_MAC, serial: str = PI3_SERIAL, *, old: bool = False, address: str = "10.77.0.100"
) -> Client:
    """A 3B (old) or 3B+ up to its kernel: ROM, bootcode.bin, start.elf."""
    client = Client(wire, mac, address, ttl=128, ip_id=0, port=49151)
    rom = ((55, WANTS_ROM), (93, b"\0\0"), (94, b"\1\2\1"), (97, b"\0" + b"\x44" * 16), (60, CLASS))
    new = ((55, WANTS_ROM + b"\1\3"), (93, b"\0\0"), (94, b"\1\2\1"), (97, b"\0" + little(serial) * 4), (60, CLASS))
    client.ask(0x26F30339, 1, *(rom if old else new))
    client.answer(0x26F30339, 2)
    client.get("bootcode.bin")
    client.miss("bootsig.bin")
    wire.pause(0.1)
    client.ask(0x26F30339, 1, *new)
    client.answer(0x26F30339, 2)
    dtb = "bcm2710-rpi-3-b.dtb" if old else "bcm2710-rpi-3-b-plus.dtb"
    for name in ("start.elf", "fixup.dat", "config.txt", dtb, "cmdline.txt", "kernel8.img"):
        client.get(f"{serial}/{name}", SIZE)
        if name == "config.txt":
            client.miss(f"{serial}/dt-blob.bin", SIZE)
    return client


def eeprom(fourcc: bytes, revision: str, mac: str, serial: str) -> tuple[tuple[int, bytes], ...]:
    """Options of an EEPROM bootloader's DISCOVER."""
    own = b"\0" + fourcc + little(f"{int(revision, 16):08x}") + frames.mac(mac)[2:] + little(serial)
    return ((55, WANTS_EEPROM), (60, CLASS), (93, b"\0\0"), (94, b"\1\2\1"), (97, own))


def pi4(wire: Wire, mac: str = "e4:5f:01:09:02:f7", serial: str = "91cdf03d", address: str = "10.77.0.101") -> Client:
    """Up to its kernel, from an EEPROM of the years with blksize 1024."""
    client = Client(wire, mac, address, ip_id=0x5070)
    client.lease(0xD0E3497C, *eeprom(b"RPi4", "d03114", mac, serial))
    for name in ("config.txt", "start4.elf", "fixup4.dat"):
        client.get(f"{serial}/{name}", SIZE, ("blksize", "1024"), blksize=1024)
    client.ttl, client.ip_id, client.port = 128, 0, 49152
    for name in ("config.txt", "bcm2711-rpi-4-b.dtb", "cmdline.txt", "kernel8.img"):
        client.get(f"{serial}/{name}", SIZE, BIG, blksize=1468)
    return client


def pi5(wire: Wire, mac: str = "88:a2:9e:00:00:05", serial: str = "7bf18f79", address: str = "10.77.0.105") -> Client:
    client = Client(wire, mac, address)
    client.lease(0x0A485863, *eeprom(b"5iPR", "d04170", mac, serial))
    for name in ("/config.txt", "//config.txt", "/kernel_2712.img"):
        client.get(f"{serial}{name}", SIZE, BIG, blksize=1468)
    return client


def klibc(client: Client, xid: int = 0x4B4C4942) -> None:
    """The initramfs' own exchange, from Linux: TTL 64."""
    client.ttl = 64
    client.lease(xid, (60, b"Linux ipconfig"), (55, bytes((1, 3, 6, 12, 15, 17, 26))))


def names(stages: Iterable[object]) -> list[str]:
    return [stage.name for stage in stages]  # type: ignore[attr-defined]
