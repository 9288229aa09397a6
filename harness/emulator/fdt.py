# SPDX-License-Identifier: GPL-2.0-or-later
"""A flattened device tree, read, changed and written again (Devicetree Specification 0.4, chapter 5, version 17).

`read` raises ValueError for what is none; whatever it takes can be written again, with the same nodes in the same order.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_MAGIC = 0xD00DFEED
_BEGIN, _END_NODE, _PROPERTY, _NOP, _END = 1, 2, 3, 4, 9
_HEADER = struct.Struct(">10I")
_DEEPEST = 64


@dataclass
class Node:
    """properties: name -> value, in their order; the root's name is empty."""

    name: str
    properties: dict[str, bytes] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    def walk(self, path: str = "") -> Iterator[tuple[str, "Node"]]:
        """(path, node) of this one and all below it: "" for the root, then "/soc", "/soc/serial@7e201000"."""
        yield path, self
        for child in self.children:
            yield from child.walk(f"{path}/{child.name}")

    def strings(self, name: str) -> tuple[str, ...]:
        """A property that is a list of texts; empty when it is not there."""
        return tuple(text.decode("ascii", "replace") for text in self.properties.get(name, b"").split(b"\0") if text)

    @property
    def on(self) -> bool:
        return self.strings("status")[:1] in ((), ("okay",), ("ok",))

    def disable(self) -> None:
        self.properties["status"] = b"disabled\0"


@dataclass
class Tree:
    """reserved: memory reservations, with their end; boot_cpu: as in the header."""

    root: Node
    reserved: bytes = bytes(16)
    boot_cpu: int = 0

    def find(self, path: str) -> Node | None:
        return next((node for where, node in self.root.walk() if where == path), None)

    def write(self) -> bytes:
        names = bytearray()
        offsets: dict[str, int] = {}
        structure = bytearray()

        def put(node: Node) -> None:
            structure.extend(struct.pack(">I", _BEGIN) + _padded(node.name.encode() + b"\0"))
            for name, value in node.properties.items():
                if name not in offsets:
                    offsets[name] = len(names)
                    names.extend(name.encode() + b"\0")
                structure.extend(struct.pack(">III", _PROPERTY, len(value), offsets[name]) + _padded(value))
            for child in node.children:
                put(child)
            structure.extend(struct.pack(">I", _END_NODE))

        put(self.root)
        structure.extend(struct.pack(">I", _END))
        at = _HEADER.size + len(self.reserved)
        behind = at + len(structure)
        words = (
            _MAGIC,
            behind + len(names),
            at,
            behind,
            _HEADER.size,
            17,
            16,
            self.boot_cpu,
            len(names),
            len(structure),
        )
        return _HEADER.pack(*words) + self.reserved + bytes(structure) + bytes(names)


def read(data: bytes) -> Tree:
    """Raises ValueError for what is no device tree, or is cut short."""
    try:
        magic, total, at, names, reserve, version, compatible, cpu, _names_size, _size = _HEADER.unpack_from(data)
        if magic != _MAGIC or version < 17 or compatible > 17 or total > len(data):
            raise ValueError("no flattened device tree of version 17")
        end = reserve
        while data[end : end + 16] != bytes(16):
            if end + 16 > len(data):
                raise ValueError("memory reservations without an end")
            end += 16
        return Tree(_structure(data, at, names), data[reserve : end + 16], cpu)
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise ValueError(f"damaged device tree: {error}") from error


def _structure(data: bytes, at: int, names: int) -> Node:
    root: Node | None = None
    above: list[Node] = []
    while True:
        token: int = struct.unpack_from(">I", data, at)[0]
        at += 4
        if token == _BEGIN:
            end = data.index(b"\0", at)
            node = Node(data[at:end].decode("ascii"))
            at = end + 4 & ~3
            if above:
                above[-1].children.append(node)
            elif root is None:
                root = node
            else:
                raise ValueError("two roots")
            above.append(node)
            if len(above) > _DEEPEST:
                raise ValueError("nodes within nodes without an end")
        elif token == _PROPERTY:
            size, name = struct.unpack_from(">II", data, at)
            at += 8
            if at + size > len(data):
                raise ValueError("property cut short")
            word = data[names + name : data.index(b"\0", names + name)].decode("ascii")
            above[-1].properties[word] = data[at : at + size]
            at = at + size + 3 & ~3
        elif token == _END_NODE:
            above.pop()
        elif token == _END and root is not None and not above:
            return root
        elif token != _NOP:
            raise ValueError(f"token {token}")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
