# SPDX-License-Identifier: GPL-2.0-or-later
"""Which interface of this machine a DISCOVER goes out by: a wire may be a mirror port, which brings packets and takes none."""

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable, Mapping

_SIOCGIFADDR, _SIOCGIFNETMASK = 0x8915, 0x891B


def networks() -> dict[str, ipaddress.IPv4Interface]:
    """Interface -> its first IPv4 address and network; those without one are left out. Of this thread's network namespace."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _number, name in socket.if_nameindex():
            address, mask = (_asked(asking, call, name) for call in (_SIOCGIFADDR, _SIOCGIFNETMASK))
            if address is not None and mask is not None:
                found[name] = ipaddress.IPv4Interface(f"{address}/{mask}")
    return found


def _asked(asking: socket.socket, call: int, name: str) -> str | None:
    try:
        answer = fcntl.ioctl(asking, call, struct.pack("16s24x", name.encode()[:15]))
    except OSError:
        return None
    return socket.inet_ntoa(answer[20:24])


def interface_for(wire: str, servers: Iterable[str], known: Mapping[str, ipaddress.IPv4Interface]) -> str:
    """The wire's own, unless it has no address in the servers' network and another interface has."""
    wanted = [ipaddress.IPv4Address(server) for server in servers]

    def reaches(name: str) -> bool:
        return name in known and any(address in known[name].network for address in wanted)

    if reaches(wire):
        return wire
    return next((name for name in known if name not in {wire, "lo"} and reaches(name)), wire)
