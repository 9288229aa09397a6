# SPDX-License-Identifier: GPL-2.0-or-later
"""The services of dnsmasq-nfs, looked at as somebody's own."""

from collections.abc import Iterator

import pytest

from harness.servers import topology_named
from tests.inspection.netboot.bench import Bench, boards, start
from tests.topologies.labs import skip_without

pytestmark = pytest.mark.netns

SERVER = """, dhcp: [10.77.0.1], tftp: {address: 10.77.0.1, root: ROOT},
    offer: {option_43: "Raspberry Pi Boot"}, root: {kind: nfs, source: "10.77.0.1:/srv/nfs/{serial}", version: "3"}"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    skip_without("dnsmasq-nfs")
    folder = tmp_path_factory.mktemp("nfs")
    with start(topology_named("dnsmasq-nfs"), boards("pi4", "pi5", "pi3b"), folder / "run") as rig:
        yield Bench(rig, folder)


def lab(bench: Bench, server: str = SERVER):
    return bench.lab(server.replace("ROOT", str(bench.rig.tftp_root)))


def test_a_good_server(bench: Bench) -> None:
    looks = bench.look(lab(bench))
    print(bench.check(lab(bench))[1])
    assert {name: look["findings"] for name, look in looks.items()} == {name: [] for name in looks}
