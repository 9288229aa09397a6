# SPDX-License-Identifier: GPL-2.0-or-later
"""A device-tree overlay in the flattened format, for boot trees whose distribution ships none.

`disable_bt()` says what the Raspberry Pi kernel's disable-bt-overlay.dts says: the PL011 goes back from Bluetooth to GPIO
14/15, so that ttyAMA0 is the serial console. Format: Devicetree Specification 0.4, chapter 5 (flattened devicetree, version
17), all numbers big-endian; `__fixups__` as dtc writes it for references to labels of the base tree.
"""

import struct
from collections.abc import Mapping
from typing import Union

Node = Mapping[str, Union[bytes, "Node"]]

BEGIN_NODE, END_NODE, PROPERTY, END = (struct.pack(">I", token) for token in (1, 2, 3, 9))
UNRESOLVED = struct.pack(">I", 0xFFFFFFFF)  # dtc's placeholder where a phandle will be put
HEADER = 40  # bytes; ten 32-bit words


def text(*values: str) -> bytes:
    """A string list property."""
    return b"".join(value.encode() + b"\0" for value in values)


def flatten(root: Node) -> bytes:
    """The tree as a .dtb/.dtbo file. Properties are bytes, child nodes are mappings; properties come first in a node."""
    names = bytearray()
    offsets: dict[str, int] = {}

    def aligned(data: bytes) -> bytes:
        return data + bytes(-len(data) % 4)

    def node(name: str, content: Node) -> bytes:
        out = BEGIN_NODE + aligned(name.encode() + b"\0")
        for key, value in content.items():
            if isinstance(value, bytes):
                if key not in offsets:
                    offsets[key] = len(names)
                    names.extend(key.encode() + b"\0")
                out += PROPERTY + struct.pack(">II", len(value), offsets[key]) + aligned(value)
        for key, value in content.items():
            if not isinstance(value, bytes):
                out += node(key, value)
        return out + END_NODE

    structure = node("", root) + END
    reserved = bytes(16)  # an empty memory reservation map: one all-zero entry
    at_structure = HEADER + len(reserved)
    at_names = at_structure + len(structure)
    total = at_names + len(names)
    words = (0xD00DFEED, total, at_structure, at_names, HEADER, 17, 16, 0, len(names), len(structure))
    return struct.pack(">10I", *words) + reserved + structure + bytes(names)


def disable_bt() -> bytes:
    """overlays/disable-bt.dtbo."""
    status_off: Node = {"status": text("disabled")}
    released: Node = {"brcm,pins": b"", "brcm,function": b"", "brcm,pull": b""}
    uart0: Node = {"pinctrl-names": text("default"), "pinctrl-0": UNRESOLVED, "status": text("okay")}
    by_label = (
        ("uart1", status_off),
        ("uart0", uart0),
        ("bt", status_off),
        ("uart0_pins", released),
        ("bt_pins", released),
    )
    fixups: dict[str, list[str]] = {}
    root: dict[str, bytes | Node] = {"compatible": text("brcm,bcm2835")}
    for number, (label, overlay) in enumerate(by_label):
        root[f"fragment@{number}"] = {"target": UNRESOLVED, "__overlay__": overlay}
        fixups.setdefault(label, []).append(f"/fragment@{number}:target:0")
    fixups["uart0_pins"].insert(0, "/fragment@1/__overlay__:pinctrl-0:0")
    aliases: Node = {"serial0": text("/soc/serial@7e201000"), "serial1": text("/soc/serial@7e215040")}
    root["fragment@5"] = {"target-path": text("/aliases"), "__overlay__": aliases}
    root["__fixups__"] = {label: text(*places) for label, places in fixups.items()}
    return flatten(root)
