# SPDX-License-Identifier: GPL-2.0-or-later
"""What kind of TFTP message a datagram is (RFC 1350; OACK: RFC 2347). For every DATA and ACK of a boot: no scapy here."""

import struct

from harness.wire.scapy_read import Malformed
from harness.wire.udp import Datagram

RRQ, WRQ, DATA, ACK, ERROR, OACK = range(1, 7)

_OPCODE = struct.Struct("!HH")


def opcode(packet: Datagram) -> tuple[int, int]:
    """(opcode, second word) of a datagram; raises Malformed when the capture holds fewer than four octets.

    An OACK may have no more than its opcode: atftpd 0.8 agrees to nothing in this way.
    """
    if packet.size == 2 and packet.data[packet.start : packet.start + 2] == b"\0\x06":
        return OACK, 0
    if packet.size < 4 or len(packet.data) < packet.start + 4:
        raise Malformed(f"TFTP packet of {packet.size} octets")
    op, word = _OPCODE.unpack_from(packet.data, packet.start)
    return op, word
