# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP as the bootloader speaks it: a GET without frills, and an answer of HTTP/1.0 or 1.1. Reading never raises.

That it looks at content-length, and not at transfer-encoding: strings of released images. A redirect is an error: it is
not followed (EE#475).
"""

import re

_MOST_HEADER = 16384
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |$)")


def request(host: str, path: str, agent: str) -> bytes:
    """A GET; the order of its header lines is inferred."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n".encode("latin-1")


class Response:
    """status: 0 until known; length: of the body, -1 when not told; fault: what is wrong, "" when nothing.

    largest: bytes of body beyond which it is given up.
    """

    def __init__(self, largest: int) -> None:
        self.status = 0
        self.length = -1
        self.body = bytearray()
        self.fault = ""
        self._largest = largest
        self._head = bytearray()

    @property
    def complete(self) -> bool:
        return self.length >= 0 and len(self.body) >= self.length

    @property
    def over(self) -> bool:
        """Nothing more is wanted."""
        return bool(self.fault) or self.complete

    def feed(self, data: bytes) -> None:
        if not self.status:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                if len(self._head) > _MOST_HEADER:
                    self.fault = "header too long"
                return
            self._header(bytes(self._head[:end]))
            data = bytes(self._head[end + 4 :])
        if not self.fault:
            self.body += data
            if self.length >= 0:
                del self.body[self.length :]
            if len(self.body) > self._largest:
                self.fault = "too large"

    def end(self) -> None:
        """The server has closed the connection."""
        if self.fault or self.complete:
            return
        if not self.status or self.length >= 0:
            self.fault = "cut short"
        else:
            self.length = len(self.body)

    def _header(self, text: bytes) -> None:
        lines = text.split(b"\r\n")
        match = _STATUS.match(lines[0])
        if match is None:
            self.status, self.fault = -1, "no HTTP"
            return
        self.status = int(match[1])
        for line in lines[1:]:
            name, _colon, value = line.partition(b":")
            digits = value.strip()
            if name.strip().lower() == b"content-length" and digits.isdigit() and len(digits) < 16:
                self.length = int(digits)
        if self.status != 200:
            self.fault = f"status {self.status}"
        elif self.length > self._largest:
            self.fault = "too large"
