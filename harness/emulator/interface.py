# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's network card on a real wire: a packet socket on an interface of this machine, with the board's own MAC.

The interface keeps its own address and its own traffic. What this machine itself sends there is not seen: as with a
second card on the same cable, a server must be on another machine (or on the other end of a veth pair).
"""

import ctypes
import errno
import fcntl
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from harness.emulator.packets import ones_sum
from harness.emulator.tap import is_running
from harness.errors import ConfigError, InfraError

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP, _PACKET_AUXDATA, _PACKET_IGNORE_OUTGOING = 1, 8, 23  # linux/if_packet.h
_PACKET_MR_PROMISC, _PACKET_OUTGOING = 1, 4
_CSUM_NOT_READY, _VLAN_VALID = 1 << 3, 1 << 4  # tp_status of struct tpacket_auxdata
_SO_ATTACH_FILTER = 26
_SIOCGIFHWADDR = 0x8927
_ARPHRD_ETHER = 1
_BUFFER = 4 << 20
_MOST_FLUSHED = 4096
#: IP protocol -> where its checksum stands in its header.
_CHECKSUM_AT = {17: 6, 6: 16}
#: A neighbour on this machine leaves it to the card to cut its TCP into packets: then they come uncut.
_LARGEST = 1 << 16


class Interface:
    """The same card as Tap, for a wire that is there already. mac: six octets; only its frames and group frames are heard.

    whole: what this machine itself sends there is heard, too, all but what goes out by this card.
    take: the next frame, raises BlockingIOError when none waits; put: sends one, raises OSError.
    """

    def __init__(self, name: str, mac: bytes, *, whole: bool = False) -> None:
        self.name = name
        self.fd = -1
        self.wait: Callable[[float | None], list[tuple[int, int]]] = select.poll().poll
        self.put: Callable[[bytes | bytearray], int] = lambda _frame: 0
        self._mac = mac
        self._whole = whole
        self._socket: socket.socket | None = None
        self._buffer = bytearray(_LARGEST)

    def open(self) -> None:
        """Raises ConfigError when there is no such Ethernet interface, InfraError when it may not be used."""
        if self.fd >= 0:
            return
        _ethernet(self.name)
        try:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except PermissionError as error:
            raise InfraError(
                f"this user may not send and receive frames on {self.name} (CAP_NET_RAW is missing)",
                remedy="run it as root: sudo .venv/bin/piboot emulate ...",
            ) from error
        try:
            # Filter and options first: bound to no protocol yet, nothing can slip in before them.
            _hear_only(made, self._mac)
            made.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            if not self._whole:
                with suppress(OSError):  # before Linux 4.20: then they are told by their packet type
                    made.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            with suppress(OSError):
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            number = socket.if_nametoindex(self.name)
            member = struct.pack("iHH8s", number, _PACKET_MR_PROMISC, 0, b"")
            made.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, member)
            made.bind((self.name, _ETH_P_ALL))
            made.setblocking(False)
        except OSError as error:
            made.close()
            raise InfraError(
                f"{self.name} cannot be used: {error.strerror}", remedy=f"look at it with `ip link show {self.name}`"
            ) from error
        self._socket, self.fd, self.put = made, made.fileno(), made.send
        readable = select.poll()
        readable.register(self.fd, select.POLLIN)
        self.wait = readable.poll

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket, self.fd = None, -1

    def running(self) -> bool:
        """Whether the interface is up and has a carrier."""
        return is_running(self.name)

    def take(self) -> bytes:
        if self._socket is None:
            raise BlockingIOError(errno.EAGAIN, "the link is down")
        while True:
            size, told, _flags, address = self._socket.recvmsg_into((self._buffer,), 64)
            status = int.from_bytes(told[0][2][:4], "little") if told else 0
            if (address[2] == _PACKET_OUTGOING and not self._whole) or status & _VLAN_VALID:
                continue  # ours; or of another network than the board's, whose port is untagged
            frame = bytes(memoryview(self._buffer)[:size])
            return _with_checksum(frame) if status & _CSUM_NOT_READY else frame

    def read(self) -> bytes | None:
        """A frame, None when none waits or the link is down."""
        try:
            return self.take()
        except OSError:
            return None

    def write(self, frame: bytes | bytearray) -> None:
        """A frame that the link does not take is lost, as on a real wire."""
        with suppress(OSError):
            self.put(frame)

    def flush(self) -> None:
        for _ in range(_MOST_FLUSHED):
            if self.read() is None:
                return


def _ethernet(name: str) -> None:
    known = ", ".join(found for _number, found in socket.if_nameindex() if found != "lo")
    remedy = f"choose of: {known}" if known else "there is none but lo here"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            answer = fcntl.ioctl(asking, _SIOCGIFHWADDR, struct.pack("16sH22x", name.encode()[:15], 0))
    except OSError as error:
        raise ConfigError(f"there is no network interface {name!r}", place="--interface", remedy=remedy) from error
    if struct.unpack_from("H", answer, 16)[0] != _ARPHRD_ETHER:
        raise ConfigError(f"{name} is no Ethernet interface", place="--interface", remedy=remedy)


def _hear_only(made: socket.socket, mac: bytes) -> None:
    """A classic BPF program: frames to this MAC or to a group; all that a switch would send to the board's port."""
    program = (
        (0x20, 0, 0, 0),  # ld [0]: the first four octets of the destination
        (0x15, 0, 2, int.from_bytes(mac[:4], "big")),  # jeq: its own?
        (0x28, 0, 0, 4),  # ldh [4]
        (0x15, 2, 0, int.from_bytes(mac[4:], "big")),
        (0x30, 0, 0, 0),  # ldb [0]
        (0x45, 0, 1, 1),  # jset #1: a group address
        (0x06, 0, 0, 0x40000),  # ret: keep
        (0x06, 0, 0, 0),  # ret: drop
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))
    made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))


def _with_checksum(frame: bytes) -> bytes:
    """A UDP or TCP frame of a neighbour on this machine (a veth pair, a virtual machine), who left the checksum to the card."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[14] != 0x45 or frame[23] not in _CHECKSUM_AT:
        return frame
    protocol, end = frame[23], 14 + int.from_bytes(frame[16:18], "big")
    if protocol == 17:
        end = 34 + int.from_bytes(frame[38:40], "big")
    place = 34 + _CHECKSUM_AT[protocol]
    if not place + 2 <= end <= len(frame):
        return frame
    whole = bytearray(frame)
    whole[place : place + 2] = b"\0\0"
    total = ones_sum(bytes(whole[26:end])) + protocol + end - 34
    value = 0xFFFF - (total % 0xFFFF or 0xFFFF)
    if protocol == 17:
        value = value or 0xFFFF  # RFC 768: zero says that there is none
    whole[place : place + 2] = value.to_bytes(2, "big")
    return bytes(whole)
