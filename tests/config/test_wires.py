# SPDX-License-Identifier: GPL-2.0-or-later
"""`wires:` of lab.yaml, and the examples of docs/wires.md."""

import re
import textwrap
from pathlib import Path

import pytest

from harness.config import InterfaceWire, SshWire, loads
from harness.lab.captures import capture_of, ssh_host
from tests.config.samples import REAL, changed, one

PAGE = (Path(__file__).parents[2] / "docs/wires.md").read_text(encoding="utf-8")
MIRROR = 'mirror: {kind: interface, interface: eth1, filter: "not port 22"}'
pytestmark = pytest.mark.usefixtures("relay")


def with_wire(wire: str) -> str:
    return changed(MIRROR, f"mirror: {wire}", REAL)


def test_a_wire_on_another_host() -> None:
    keys = "user: lab, port: 2222, key: /k/id, known_hosts: /k/known, config: /k/c, namespace: n, filter: not port 22"
    lab = loads(with_wire(f"{{kind: ssh, host: bench-pi, interface: eth1, {keys}}}"))
    wire = lab.wire_of(lab.boards["b"])
    assert isinstance(wire, SshWire)
    host = ssh_host(wire)
    assert (host.name, host.user, host.port, host.key) == ("bench-pi", "lab", 2222, "/k/id")
    assert (host.known_hosts, host.config) == ("/k/known", "/k/c")
    assert capture_of(wire, lab.boards["b"].mac) is not None
    assert capture_of(None, lab.boards["b"].mac) is None


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        ("{kind: ssh, host: -oProxyCommand=id, interface: eth1}", "is not a host"),
        ("{kind: ssh, host: 'a b', interface: eth1}", "is not a host"),
        ("{kind: ssh, host: h, user: -l, interface: eth1}", "is not a user's name"),
        ("{kind: ssh, host: h, interface: eth1, port: 0}", "out of range"),
        ("{kind: ssh, host: h, interface: eth1, key: id}", "is not an absolute path"),
        ("{kind: ssh, interface: eth1}", "is missing"),
        ("{kind: interface, interface: eth1, namespace: lab, direct: true}", "cannot be seen"),
        ("{kind: interface, interface: eth1, namespace: ../x}", "is not a namespace's name"),
    ],
)
def test_mistakes(wire: str, words: str) -> None:
    assert words in str(one(with_wire(wire)))


def test_the_examples_of_the_page_are_right() -> None:
    kinds = set()
    for block in re.findall(r"```yaml\nwires:\n(.*?)```", PAGE, re.DOTALL):
        lab = loads(changed(f"  {MIRROR}\n", f"  {MIRROR}\n" + textwrap.indent(textwrap.dedent(block), "  "), REAL))
        kinds |= {type(wire) for wire in lab.wires.values()}
    assert kinds == {InterfaceWire, SshWire}
