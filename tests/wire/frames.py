# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames made by hand: the decoder must not be tested with the library that it decodes with."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.boot.events import Event, TransferEnded, TransferStarted
from harness.boot.record import TftpTransfer
from harness.wire import pcapng
from harness.wire.decode import FrameDecoder

PI = "dc:a6:32:01:02:03"
PI_IP = "10.77.0.100"
SERVER = "02:00:00:00:00:01"
SERVER_IP = "10.77.0.1"
BROADCAST = "ff:ff:ff:ff:ff:ff"
T0 = 1_760_000_000.0


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ip4(text: str) -> bytes:
    return bytes(int(octet) for octet in text.split("."))


def ethernet(source: str, target: str, kind: int, payload: bytes, vlan: Sequence[int] = ()) -> bytes:
    tags = b"".join(struct.pack("!HH", 0x8100, tag) for tag in vlan)
    return mac(target) + mac(source) + tags + struct.pack("!H", kind) + payload


def ip(
    source: str,
    target: str,
    protocol: int,
    payload: bytes,
    *,
    ttl: int = 64,
    ip_id: int = 0x506C,
    fragment: int = 0,
    options: bytes = b"",
) -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(payload), ip_id, fragment, ttl, protocol, 0)
    return head + ip4(source) + ip4(target) + options + payload


def udp(source_port: int, target_port: int, payload: bytes, *, length: int | None = None) -> bytes:
    return struct.pack("!HHHH", source_port, target_port, 8 + len(payload) if length is None else length, 0) + payload


def tcp(source_port: int, target_port: int, flags: int, payload: bytes = b"", sequence: int = 1) -> bytes:
    return struct.pack("!HHIIBBHHH", source_port, target_port, sequence, 0, 0x50, flags, 1000, 0, 0) + payload


def from_pi(source_port: int, target_port: int, payload: bytes, **fields: int) -> bytes:
    datagram = ip(PI_IP, SERVER_IP, 17, udp(source_port, target_port, payload), **fields)  # type: ignore[arg-type]
    return ethernet(PI, SERVER, 0x0800, datagram)


def from_server(source_port: int, target_port: int, payload: bytes, **fields: int) -> bytes:
    datagram = ip(SERVER_IP, PI_IP, 17, udp(source_port, target_port, payload), **fields)  # type: ignore[arg-type]
    return ethernet(SERVER, PI, 0x0800, datagram)


# TFTP payloads


def rrq(path: bytes | str, *options: tuple[str, str], mode: str = "octet") -> bytes:
    name = path if isinstance(path, bytes) else path.encode()
    tail = b"".join(f"{key}\0{value}\0".encode() for key, value in options)
    return b"\0\1" + name + b"\0" + mode.encode() + b"\0" + tail


def data(block: int, content: bytes) -> bytes:
    return struct.pack("!HH", 3, block & 0xFFFF) + content


def ack(block: int) -> bytes:
    return struct.pack("!HH", 4, block & 0xFFFF)


def error(code: int, text: str = "") -> bytes:
    return struct.pack("!HH", 5, code) + text.encode() + b"\0"


def oack(*options: tuple[str, str]) -> bytes:
    return b"\0\6" + b"".join(f"{key}\0{value}\0".encode() for key, value in options)


EEPROM_OPTIONS = (("tsize", "0"), ("blksize", "1468"))


# DHCP


def bootp(
    *options: tuple[int, bytes],
    op: int = 1,
    chaddr: str = PI,
    xid: int = 0xD0E3497C,
    yiaddr: str = "0.0.0.0",
    siaddr: str = "0.0.0.0",
    sname: bytes = b"",
    file: bytes = b"",
    end: bytes = b"\xff",
) -> bytes:
    head = struct.pack("!BBBBIHH", op, 1, 6, 0, xid, 0, 0) + ip4("0.0.0.0") + ip4(yiaddr) + ip4(siaddr) + ip4("0.0.0.0")
    tail = b"".join(bytes((code, len(value))) + value for code, value in options)
    fixed = mac(chaddr).ljust(16, b"\0") + sname.ljust(64, b"\0") + file.ljust(128, b"\0")
    return head + fixed + b"\x63\x82\x53\x63" + tail + end


def from_client(payload: bytes, source: str = PI, **fields: int) -> bytes:
    datagram = ip("0.0.0.0", "255.255.255.255", 17, udp(68, 67, payload), **fields)  # type: ignore[arg-type]
    return ethernet(source, BROADCAST, 0x0800, datagram)


def to_client(payload: bytes, target: str = PI, target_ip: str = PI_IP) -> bytes:
    return ethernet(SERVER, target, 0x0800, ip(SERVER_IP, target_ip, 17, udp(67, 68, payload)))


def arp(op: int, sender: str, sender_ip: str, target: str, target_ip: str, to: str = BROADCAST) -> bytes:
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, op) + mac(sender) + ip4(sender_ip) + mac(target) + ip4(target_ip)
    return ethernet(sender, to, 0x0806, body)


# Running


class Wire:
    """Frames given to a decoder one by one, 0.1 ms apart."""

    def __init__(self, macs: Iterable[str] | None = (PI,)) -> None:
        self.events: list[Event] = []
        self.decoder = FrameDecoder(macs, self.events.append)
        self.number = 0
        self.t = T0

    def send(self, *frames: bytes, after: float = 0.0001) -> "Wire":
        for frame in frames:
            self.number += 1
            self.t = round(self.t + after, 6)
            self.decoder.frame(self.number, self.t, frame)
        return self

    def finish(self, after: float = 0.0) -> "Wire":
        self.decoder.finish(self.t + after)
        return self

    def of(self, kind: type) -> list:  # type: ignore[type-arg]
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def transfers(self) -> list[TftpTransfer]:
        return [event.transfer for event in self.events if isinstance(event, TransferEnded)]

    @property
    def transfer(self) -> TftpTransfer:
        (one,) = self.transfers
        return one

    @property
    def started(self) -> list[TransferStarted]:
        return self.of(TransferStarted)


def blocks_of(content: bytes, blksize: int) -> list[bytes]:
    return [content[at : at + blksize] for at in range(0, len(content) + 1, blksize)]


def download(
    path: str,
    content: bytes,
    *,
    port: int = 30572,
    tid: int = 40000,
    blksize: int = 1468,
    options: Sequence[tuple[str, str]] = EEPROM_OPTIONS,
) -> list[bytes]:
    """All frames of an undisturbed read with option acknowledgement."""
    frames = [
        from_pi(port, 69, rrq(path, *options)),
        from_server(tid, port, oack(("tsize", str(len(content))), ("blksize", str(blksize)))),
        from_pi(port, tid, ack(0)),
    ]
    for number, block in enumerate(blocks_of(content, blksize), 1):
        frames += [from_server(tid, port, data(number, block)), from_pi(port, tid, ack(number))]
    return frames


def write_pcapng(path: Path, frames: Iterable[bytes], start: float = T0) -> None:
    """Frames 0.1 ms apart; an undamaged file with statistics."""
    micro = round(start * 1_000_000)
    blocks = [pcapng.packet(micro + 100 * number, frame, len(frame)) for number, frame in enumerate(frames, 1)]
    end = micro + 100 * len(blocks)
    head = pcapng.section("test") + pcapng.interface("tap-1", 1, 2048, "not port 22")
    path.write_bytes(head + b"".join(blocks) + pcapng.statistics(micro, end, len(blocks), 0))


def write_pcap(path: Path, frames: Iterable[bytes], *, order: str = "<", nano: bool = False, link: int = 1) -> None:
    magic, scale = (0xA1B23C4D, 1000) if nano else (0xA1B2C3D4, 1)
    octets = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link)
    for number, frame in enumerate(frames, 1):
        octets += struct.pack(order + "IIII", int(T0), 100 * number * scale, len(frame), len(frame)) + frame
    path.write_bytes(octets)
