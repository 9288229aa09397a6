# SPDX-License-Identifier: GPL-2.0-or-later
"""Labs to load, good and bad."""

import pytest

from harness.config import LabFileError, Mistake, loads

GOOD = """\
version: 1
name: bench
wires:
  w: {kind: emulated}
servers:
  s: {kind: emulated}
boards:
  a:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    wire: w
    server: s
    power: {driver: emulated}
    console: {driver: emulated}
"""

#: A lab of real gear; `relay` stands for a third-party power driver.
REAL = """\
version: 1
name: shelf
wires:
  mirror: {kind: interface, interface: eth1, filter: "not port 22"}
servers:
  nas:
    kind: external
    dhcp: [10.0.0.1]
    tftp: {address: 10.0.0.2, root: /srv/tftp, prefix: mac}
    root: {kind: nfs, source: "10.0.0.2:/srv/nfs/{serial}-{name}"}
boards:
  b:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    wire: mirror
    server: nas
    power: {driver: relay, pin: 17}
    console: {driver: serial, port: /dev/ttyUSB0}
    login: {user: pi, password: {env: PI_PASSWORD}}
"""


def mistakes(text: str) -> list[Mistake]:
    """The mistakes of a text that must have some."""
    with pytest.raises(LabFileError) as caught:
        loads(text)
    assert caught.value.mistakes, "an error without a mistake"
    return caught.value.mistakes


def one(text: str) -> Mistake:
    """The only mistake of a text."""
    found = mistakes(text)
    assert len(found) == 1, [str(mistake) for mistake in found]
    return found[0]


def changed(old: str, new: str, text: str = GOOD) -> str:
    """`text` with the only `old` replaced."""
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the sample"
    return text.replace(old, new)


def position(text: str, part: str) -> tuple[int, int]:
    """Line and column, from 1, of the first place of `part`."""
    before = text[: text.index(part)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
