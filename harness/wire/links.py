# SPDX-License-Identifier: GPL-2.0-or-later
"""Link layers: whatever a capture was made on, as Ethernet frames.

Linux "cooked" captures (`tcpdump -i any`) know the sender's address only: the destination is then given as zeros, or
as broadcast when the kernel said so. Raw IP has neither.
"""

ETHERNET = 1
RAW_IP = 101
LINUX_SLL = 113
IPV4 = 228
IPV6 = 229
LINUX_SLL2 = 276

SUPPORTED = frozenset({ETHERNET, RAW_IP, LINUX_SLL, IPV4, IPV6, LINUX_SLL2})

_NOBODY = bytes(6)
_EVERYBODY = b"\xff" * 6
_BROADCAST = 1  # PACKET_BROADCAST of packet(7)


def ethernet(link: int, data: bytes) -> bytes | None:
    """The packet as an Ethernet frame; None when the link type (a LINKTYPE_ number of tcpdump.org) is not known or the
    packet is shorter than its own header.
    """
    if link == ETHERNET:
        return data
    if link == LINUX_SLL and len(data) >= 16:
        destination = _EVERYBODY if data[0:2] == b"\0\1" else _NOBODY
        return destination + data[6:12] + data[14:]
    if link == LINUX_SLL2 and len(data) >= 20:
        destination = _EVERYBODY if data[10] == _BROADCAST else _NOBODY
        return destination + data[12:18] + data[0:2] + data[20:]
    if link in {RAW_IP, IPV4, IPV6} and data:
        ethertype = b"\x08\x00" if data[0] >> 4 == 4 else b"\x86\xdd"
        return _NOBODY + _NOBODY + ethertype + data
    return None
