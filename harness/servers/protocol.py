# SPDX-License-Identifier: GPL-2.0-or-later
"""What the rig's owner and its keeper say to each other: JSON messages with file descriptors over a SOCK_SEQPACKET pair.

request   {"id": 7, "call": "spawn", "args": {...}}
reply     {"id": 7, "result": ...}  or  {"id": 7, "error": "text", "errno": 2 or 0}
event     {"event": "exit", "key": 3, "status": -9}        key as in the spawn request; status as subprocess's returncode

One message is one packet, so nothing has to be framed; descriptors travel with their message (SCM_RIGHTS).
"""

import array
import json
import os
import socket
from collections.abc import Sequence
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]

# The kernel's default limit for one packet on a unix socket (net.core.wmem_max) is 208 KiB, overhead included.
MAX_BYTES = 160 * 1024
MAX_FDS = 8


class ProtocolError(Exception):
    """A message that is not one: the two sides are of different versions, or something else wrote into the socket."""


def encode(message: Message) -> bytes:
    """The packet for a message. Raises ProtocolError when it would not fit into one."""
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) > MAX_BYTES:
        raise ProtocolError(f"a message of {len(data)} bytes; the limit is {MAX_BYTES}")
    return data


def decode(data: bytes) -> Message:
    """The message in a packet. Raises ProtocolError for anything but a JSON object."""
    try:
        message = json.loads(data)
    except ValueError as error:
        raise ProtocolError(f"not JSON: {data[:80]!r}") from error
    if not isinstance(message, dict):
        raise ProtocolError(f"not an object: {data[:80]!r}")
    return message


def request(message: Message) -> tuple[int, str, Message]:
    """(id, call, args) of a request. Raises ProtocolError when a part is missing or of the wrong type."""
    number, call, args = message.get("id"), message.get("call"), message.get("args", {})
    if not isinstance(number, int) or not isinstance(call, str) or not isinstance(args, dict):
        raise ProtocolError(f"not a request: {message!r}")
    return number, call, args


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Send one message, with copies of the descriptors. Raises OSError when the other side is gone."""
    data = encode(message)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], ancillary)


def receive(sock: socket.socket) -> tuple[Message | None, list[int]]:
    """The next message and the descriptors that came with it (close-on-exec); (None, []) when the other side is gone.

    Raises ProtocolError for a packet that is no message; its descriptors are closed then.
    """
    data, ancillary, flags, _ = sock.recvmsg(
        MAX_BYTES + 1, socket.CMSG_SPACE(MAX_FDS * array.array("i").itemsize), socket.MSG_CMSG_CLOEXEC
    )
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    if not data:
        close_all(fds)
        return None, []
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        close_all(fds)
        raise ProtocolError("a message that was cut")
    try:
        return decode(data), list(fds)
    except ProtocolError:
        close_all(fds)
        raise


def close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
