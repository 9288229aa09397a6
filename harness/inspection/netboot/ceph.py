# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks Ceph monitors whether they are there: each says so by itself to whoever connects (messenger 2: "ceph v2", messenger 1:
"ceph v027"; Ceph's doc/dev/msgr2.rst and doc/dev/network-protocol.rst). Pools and volumes tell themselves only to who has a key.
"""

import socket
from collections.abc import Iterator, Sequence

from harness.inspection.netboot.seen import Point

_TIMEOUT = 3.0
_BANNERS = {b"ceph v2\n": "messenger 2", b"ceph v02": "messenger 1"}


def look(monitors: Sequence[tuple[str, Sequence[int]]]) -> Iterator[Point]:
    """monitors: address and ports of each. One that answers is enough for a board. Never raises for what they say."""
    points = [_monitor(address, ports) for address, ports in monitors]
    alive = any(point.state == "ok" for point in points)
    for point in points:
        yield point if point.state == "ok" or not alive else Point(point.what, "note", point.said, point.fix)


def _monitor(address: str, ports: Sequence[int]) -> Point:
    what = f"Ceph monitor {address}"
    said, answered = [], []
    for port in ports:
        try:
            with socket.create_connection((address, port), _TIMEOUT) as sock:
                banner = b""
                while len(banner) < 8 and (piece := sock.recv(8 - len(banner))):
                    banner += piece
        except OSError as error:
            said.append(f"port {port}: {error.strerror or error}")
            continue
        kind = _BANNERS.get(banner)
        if kind:
            answered.append(f"{kind} at port {port}")
        else:
            said.append(f"port {port} is no Ceph monitor's: it said {banner.decode('ascii', 'backslashreplace')!r}")
    if answered:
        return Point(what, "ok", "; ".join([*answered, *said]))
    fix = "check that the monitors run (`ceph -s` there), and that no firewall is before ports 6789 and 3300"
    return Point(what, "fault", f"no Ceph monitor answers: {'; '.join(said)}", fix)
