# SPDX-License-Identifier: GPL-2.0-or-later
"""One HTTP request and its answer, as octets of a stream: status, length, body, SHA-256 (RFC 9112)."""

import hashlib
import re
from typing import Any, NamedTuple

from harness.boot.events import TransferProgress
from harness.boot.record import HttpFetch
from harness.wire.text import ip_text, shown

PROGRESS_EVERY = 0.25
"""Seconds of packet time between two progress events."""

_MOST_HEAD = 65536
_MOST_TEXT = 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: ([^\r\n]*))?(?:\r\n|$)")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*(?=\r\n|$)", re.IGNORECASE)
_CODED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


#: How a User-Agent begins -> who it is: strings of released EEPROM images; EDK2 HttpBootDxe; iPXE; U-Boot's wget.
_AGENTS = (("rpiboot/", "eeprom"), ("UefiHttpBoot/", "uefi"), ("iPXE/", "ipxe"), ("U-Boot/", "u-boot"))


class Request(NamedTuple):
    """method: "" for a connection on which nothing was asked, because nobody answered it."""

    method: str
    path: bytes
    host: bytes
    agent: str

    @property
    def asked_by(self) -> str:
        """The program behind the User-Agent; "os" for any other."""
        return next((name for start, name in _AGENTS if self.agent.startswith(start)), "os") if self.method else ""


class Fetch:
    """begins: the offset in the server's stream at which the answer begins.

    `feed` takes the stream from there on, without gaps; `lacks` says that some of it was not captured.
    """

    def __init__(self, request: Request, start: float, first_packet: int, begins: int) -> None:
        self.path = shown(request.path[:_MOST_TEXT])
        self.asked_by = request.asked_by
        self.retransmissions = 0
        self._method = request.method
        self._host = shown(request.host[:_MOST_TEXT])
        self._agent = shown(request.agent.encode("latin-1", "replace")[:_MOST_TEXT])
        self._start, self._first_packet, self._begins = start, first_packet, begins
        self._head = bytearray()
        self._head_size = -1
        self._status: int | None = None
        self._words = ""
        self._length: int | None = None
        self._whole = True
        self._body = 0
        self._hash = hashlib.sha256()
        self._next_progress = start + PROGRESS_EVERY

    def feed(self, octets: bytes) -> None:
        if self._head_size < 0:
            self._head += octets
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                if len(self._head) > _MOST_HEAD:
                    self._head_size, self._whole = len(self._head), False
                return
            head, octets = bytes(self._head[:end]), bytes(self._head[end + 4 :])
            self._head_size = end + 4
            self._head.clear()
            self._read(head)
            if self._status is not None and self._status < 200:  # 100 Continue: the answer is still to come
                self._begins += self._head_size
                self._head_size, self._status = -1, None
                self.feed(octets)
                return
        if self._length is not None:
            octets = octets[: max(self._length - self._body, 0)]
        self._body += len(octets)
        self._hash.update(octets)

    def lacks(self, octets: int) -> None:
        """So many octets are not in the capture."""
        self._whole = False
        if self._head_size < 0:
            self._head_size = len(self._head) + octets
        else:
            self._body += octets

    def cut(self) -> None:
        """The capture holds less of a packet than was sent: its length counts, its content is not known."""
        self._whole = False

    def all_by(self, upto: int) -> bool:
        """Whether the answer has ended at this offset of the stream, by what it says of its length."""
        return self._length is not None and upto >= self._begins + self._head_size + self._length

    def progress(self, t: float, upto: int) -> TransferProgress | None:
        if t < self._next_progress or self._head_size < 0:
            return None
        self._next_progress = t + PROGRESS_EVERY
        return TransferProgress(t, self.path, max(upto - self._begins - self._head_size, 0), self._length)

    def _read(self, head: bytes) -> None:
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None:
            self._words = f"no HTTP: {shown(head[:64])}"
            return
        self._status = int(status[1])
        self._words = shown((status[2] or b"")[:_MOST_TEXT])
        if self._method == "HEAD" or self._status in {204, 304}:
            self._length = 0
        elif length is not None and not _CODED.search(head):
            self._length = int(length[1])

    def result(
        self, how: str, *, closed: bool, acked: int, end: float, last_packet: int, client: bytes, server: bytes
    ) -> HttpFetch:
        """What became of it. how: why it ended when it is not whole; closed: the server had ended its stream.

        acked: the offset of the stream that the client has acknowledged.
        """
        got = max(min(acked - self._begins - self._head_size, self._body), 0) if self._head_size >= 0 else 0
        if self._length is not None:
            got = min(got, self._length)
            whole = got == self._length
        else:
            whole = closed and self._status is not None and got == self._body and how != "client error"
        result = how or "incomplete"
        if self._status is not None and not 200 <= self._status < 300:
            result = "not found" if self._status == 404 else "refused"
        elif self._status is not None and whole:
            result = "complete"
        duration = round(end - self._start, 6)
        known: dict[str, Any] = {}
        if result == "complete":
            known["throughput"] = round(got / duration, 1) if duration > 0 else None
            known["sha256"] = self._hash.hexdigest() if self._whole and got == self._body else None
        return HttpFetch(
            path=self.path,
            method=self._method,
            host=self._host,
            agent=self._agent,
            asked_by=self.asked_by,
            result=result,
            status=self._status,
            status_text=self._words,
            client_ip=ip_text(client[:4]),
            client_port=int.from_bytes(client[4:]),
            server_ip=ip_text(server[:4]),
            server_port=int.from_bytes(server[4:]),
            start=self._start,
            end=end,
            duration_s=duration,
            bytes=got,
            length=self._length,
            retransmissions=self.retransmissions,
            first_packet=self._first_packet,
            last_packet=last_packet,
            **known,
        )
