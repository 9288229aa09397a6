# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a network interface has a carrier, asked through a socket: the interface is that of the socket's own namespace."""

import array
import fcntl
import socket
import struct

from harness.errors import InfraError

#: linux/sockios.h, linux/ethtool.h.
_SIOCETHTOOL, _ETHTOOL_GLINK = 0x8946, 0x0000000A


def has_carrier(probe: socket.socket, interface: str) -> bool:
    """ETHTOOL_GLINK, which unlike the flags in /sys does not lag behind. InfraError: there is no such interface."""
    value = array.array("B", struct.pack("@II", _ETHTOOL_GLINK, 0))
    address, _ = value.buffer_info()
    request = struct.pack("@16sP16x", interface.encode(), address)
    try:
        fcntl.ioctl(probe.fileno(), _SIOCETHTOOL, request)
    except OSError as error:
        raise InfraError(f"the link of {interface} cannot be told: {error.strerror}") from error
    found: int = struct.unpack("@II", value.tobytes())[1]
    return found != 0
