# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP options for people."""

import pytest

from harness.report.options import option


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        (54, "0a4d0001", ("server identifier", "10.77.0.1")),
        (3, "0a4d00010a4d0002", ("router", "10.77.0.1, 10.77.0.2")),
        (66, "31302e37372e302e3100", ("TFTP server name", "10.77.0.1\\x00")),
        (51, "00000e10", ("lease time", "3,600 s")),
        (53, "05", ("message type", "5")),
        (55, "0103", ("parameter list", "1 3")),
        (97, "0034695052", ("client machine identifier", "00 34 69 50 52 .4iPR")),
        (54, "0a", ("server identifier", "0a")),
        (54, "", ("server identifier", "")),
        (224, "zz", ("", "zz")),
    ],
)
def test_values_are_readable(code: int, value: str, shown: tuple[str, str]) -> None:
    assert option(code, value) == shown
