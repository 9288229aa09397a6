# SPDX-License-Identifier: GPL-2.0-or-later
"""SNMP over a UDP socket that somebody else has made: one that lives in the network namespace of an emulated lab, say."""

import socket
from collections.abc import Callable
from typing import Any

SocketMaker = Callable[[], socket.socket]


def target_over(api: Any, make: SocketMaker) -> Any:
    """pysnmp's UdpTransportTarget, whose exchanges go through a socket of `make` instead of one of this process' namespace.

    api: pysnmp.hlapi.v3arch.asyncio, which is imported only when it is needed.
    """
    transport: Any = api.UdpTransportTarget.PROTO_TRANSPORT

    class Transport(transport):  # type: ignore[misc] # pysnmp is not typed
        def open_client_mode(self, iface: object = None, allow_broadcast: bool = False) -> Any:  # noqa: ARG002
            # A "server" is to pysnmp a transport whose socket is there already.
            return self.open_server_mode(sock=make())

    class Target(api.UdpTransportTarget):  # type: ignore[misc]
        PROTO_TRANSPORT = Transport

    return Target
