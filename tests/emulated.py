# SPDX-License-Identifier: GPL-2.0-or-later
"""lab.yaml of emulated labs with the light root, as text: what each test says of its lab is what it is about."""

HEAD = """version: 1
name: {name}
emulation: {{{emulation}}}
wires: {{bench: {{kind: emulated}}}}
servers: {{netboot: {{kind: emulated, root: light{server}}}}}
boards:
"""


def board(
    name: str = "pi4-a", model: str = "pi4", serial: str = "91cdf03d", mac: str = "e4:5f:01:09:02:f7", **keys: str
) -> str:
    """An entry of `boards:`, with root's login. keys: in YAML, in place of the usual ones or beside them; "" leaves one out."""
    usual = {
        "model": model,
        "serial_number": f'"{serial}"',
        "mac": f'"{mac}"',
        "wire": "bench",
        "server": "netboot",
        "power": "{driver: emulated}",
        "console": "{driver: emulated}",
        "login": "{user: root}",
    }
    return f"  {name}:\n" + "".join(f"    {key}: {value}\n" for key, value in (usual | keys).items() if value)


def lab(name: str, *boards: str, emulation: str = "speed: 50", server: str = "") -> str:
    """A lab of these entries. server: further keys of its server, "topology: isc-hpa"."""
    return HEAD.format(name=name, emulation=emulation, server=server and f", {server}") + "".join(boards)
