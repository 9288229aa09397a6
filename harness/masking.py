# SPDX-License-Identifier: GPL-2.0-or-later
"""Hides the secrets that stand on kernel command lines, wherever such a line is kept or shown.

A root over iSCSI or Ceph RBD needs its secret before there is a file system to read it from, so it stands in cmdline.txt, and
the kernel prints it to the console ("Kernel command line: ..."). Each character becomes an asterisk: offsets stay.
"""

import re

#: What is before the secret, and the secret. Sources: open-iscsi's debian/extra/initramfs.local-top (iscsi_password,
#: iscsi_in_password, root=iscsi:USER:SECRET@); dracut.cmdline(7) (rd.iscsi.password, netroot=iscsi:..., root=rbd:...);
#: LTSP pull request 52 (rbdroot=MON:USER:KEY:POOL:IMAGE); rbd(8) and mount.ceph(8) (secret=KEY).
_FORMS = (
    r"(?:password|passwd|password_in)=(\S+)",
    r"(?<!\w)secret=([^\s,]+)",
    r"rbdroot=[^\s:]*:[^\s:]*:([^\s:]+)",
    r"root=rbd:[^\s:]*:[^\s:]*:([^\s:]+)",
    r"root=iscsi:(?![\d.]*:)[^\s:@]*:([^\s@]+)",  # an address there means that no user comes before it
)
_TEXT = re.compile("|".join(_FORMS))
_OCTETS = re.compile("|".join(_FORMS).encode())
#: Octets of an unfinished word that are kept to see where a secret goes on: longer than any word of a command line.
_WORD = 1024


def masked(text: str) -> str:
    """`text` with asterisks in the places of secrets; of the same length."""
    if "=" not in text:
        return text
    out = list(text)
    for match in _TEXT.finditer(text):
        start, end = match.span(match.lastindex or 0)
        out[start:end] = "*" * (end - start)
    return "".join(out)


class Masker:
    """The same for octets that come in pieces, as from a console: a secret may be cut in two anywhere."""

    def __init__(self) -> None:
        self._word = b""
        self._typed = 0

    def expect_echo(self, octets: int) -> None:
        """A secret of so many octets is typed now: what comes until the line's end may be its echo."""
        self._typed = octets

    def feed(self, data: bytes) -> bytes:
        """`data` with asterisks where a secret is, as far as can be told by now; nothing is held back."""
        if self._typed:
            data = self._echo(data)
        known = len(self._word)
        whole = self._word + data
        self._word = whole[max(_end_of_words(whole), len(whole) - _WORD) :]
        if b"=" not in whole:
            return data
        out = bytearray(data)
        for match in _OCTETS.finditer(whole):
            start, end = match.span(match.lastindex or 0)
            for at in range(max(start, known), end):
                out[at - known] = ord("*")
        return bytes(out)

    def _echo(self, data: bytes) -> bytes:
        """No more than was typed is masked, should the line never end."""
        line, end, rest = data.partition(b"\n")
        out = bytearray(line)
        for at, octet in enumerate(line):
            if octet != ord("\r") and self._typed:
                out[at], self._typed = ord("*"), self._typed - 1
        if end:
            self._typed = 0
        return bytes(out) + end + rest


def _end_of_words(data: bytes) -> int:
    """Where the last, perhaps unfinished, word begins."""
    return max(data.rfind(space) for space in (b" ", b"\n", b"\r", b"\t")) + 1
