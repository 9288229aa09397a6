# SPDX-License-Identifier: GPL-2.0-or-later
"""So many octets of a stream, and no fewer."""

import socket


def exactly(sock: socket.socket, count: int, error: type[OSError] = ConnectionError) -> bytes:
    """`count` octets. Raises `error` when the other side closes before, OSError as recv does."""
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise error("the server closed the connection in the midst of an answer")
        data += piece
    return data
