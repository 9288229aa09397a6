# SPDX-License-Identifier: GPL-2.0-or-later
"""The example labs, and what the command line says instead of a lab's own words."""

from pathlib import Path
from typing import get_args

import pytest

from harness.checks.programs import NETBOOT
from harness.config import EmulatedServer, load, loads
from harness.config.adapting import adapted
from harness.config.server import Topology
from harness.errors import ConfigError
from harness.servers.programs import requirements
from harness.servers.topologies import TOPOLOGIES
from tests.config.samples import GOOD, REAL

LABS = Path(__file__).parents[2] / "docs" / "labs"
REFERENCE = ("router-option-66", "openwrt-43-66", "dnsmasq-nfs", "dnsmasq-iscsi", "ceph-rbd")


@pytest.mark.parametrize("path", sorted(LABS.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_lab_loads_and_is_told_of(path: Path) -> None:
    assert load(path).name == path.stem
    assert f"({path.name})" in (LABS / "README.md").read_text()


@pytest.mark.parametrize("name", REFERENCE)
def test_a_topology_has_a_lab_of_its_own(name: str) -> None:
    (server,) = load(LABS / f"{name}.yaml").servers.values()
    assert isinstance(server, EmulatedServer)
    assert server.topology == name


def test_every_topology_is_known_everywhere() -> None:
    assert set(get_args(Topology)) == set(TOPOLOGIES) == set(NETBOOT)
    for name, programs in NETBOOT.items():
        assert {program.name for program in programs} <= {entry.program for entry in requirements(name)}


def test_the_command_line_chooses_another_topology_and_root() -> None:
    (server,) = adapted(loads(GOOD), topology="openwrt-43-66", root="light").servers.values()
    assert isinstance(server, EmulatedServer)
    assert (server.topology, server.root) == ("openwrt-43-66", "light")
    with pytest.raises(ConfigError, match="no topology 'openwrt'") as caught:
        adapted(loads(GOOD), topology="openwrt")
    assert "router-option-66" in caught.value.remedy


@pytest.mark.usefixtures("relay")
def test_a_real_lab_has_no_topology_to_choose() -> None:
    with pytest.raises(ConfigError, match="no emulated server"):
        adapted(loads(REAL), topology="dnsmasq-nfs")
