# SPDX-License-Identifier: GPL-2.0-or-later
"""A stand-in for a device tree that the boot set lacks: Debian 12's kernel has none for BCM2712.

An emulated board checks that a device tree is there and is one for itself, and QEMU's machine makes its own; so a root
node that says what it is is enough. It says, too, that it is no real one.
"""

import struct
from collections.abc import Sequence

from harness.models import Model

_BEGIN_NODE, _END_NODE, _PROPERTY, _END = 1, 2, 3, 9
_SOC = {"BCM2712": "brcm,bcm2712", "BCM2711": "brcm,bcm2711", "BCM2837": "brcm,bcm2837"}
_NOTE = "stand-in made by piboot for an emulated board: it describes no hardware"


def stand_in(model: Model) -> bytes:
    """A flattened device tree (version 17) with the model's name and `compatible`."""
    return _flattened(
        [
            ("model", [f"{model.title} (stand-in)"]),
            ("compatible", [model.compatible, _SOC[model.soc]]),
            ("piboot,note", [_NOTE]),
        ]
    )


def _flattened(properties: Sequence[tuple[str, Sequence[str]]]) -> bytes:
    """Devicetree specification 0.4, chapter 5: header, no memory reservations, one node, strings."""
    names = b""
    body = struct.pack(">I4x", _BEGIN_NODE)
    for name, texts in properties:
        value = b"".join(text.encode() + b"\0" for text in texts)
        body += struct.pack(">III", _PROPERTY, len(value), len(names)) + value + b"\0" * (-len(value) % 4)
        names += name.encode() + b"\0"
    body += struct.pack(">II", _END_NODE, _END)
    at = 40 + 16
    total = at + len(body) + len(names)
    header = struct.pack(">10I", 0xD00DFEED, total, at, at + len(body), 40, 17, 16, 0, len(names), len(body))
    return header + b"\0" * 16 + body + names
