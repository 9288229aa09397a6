# SPDX-License-Identifier: GPL-2.0-or-later
"""The services of dnsmasq-iscsi and of ceph-rbd, looked at as somebody's own: CHAP; a proxy beside a router's Kea, Ceph."""

from collections.abc import Iterator

import pytest

from harness.servers import topology_named
from tests.inspection.netboot.bench import Bench, boards, ids, points, start
from tests.topologies.labs import skip_without

pytestmark = pytest.mark.netns

PI4, PI5 = "pi4-0", "pi5-1"
ISCSI = """, dhcp: [10.77.0.1], tftp: {address: 10.77.0.1, root: ROOT}, root: {kind: iscsi, portal: 10.77.0.1,
    target: "iqn.2026-01.lab.piboot:{serial}", initiator: "iqn.2026-01.lab.piboot:board-{serial}", user: "{serial}"}"""
RBD = """, dhcp: [10.77.0.1, 10.77.0.2], offer: {mode: proxy, option_43: "Raspberry Pi Boot"},
    tftp: {address: 10.77.0.2, root: ROOT}, boot_folder: "10.77.0.2:/srv/tftp/{serial}",
    root: {kind: rbd, monitors: [10.77.0.3], pool: rbd, image: "{serial}", user: pi}"""


@pytest.fixture(scope="module")
def san(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    skip_without("dnsmasq-iscsi")
    folder = tmp_path_factory.mktemp("iscsi")
    with start(topology_named("dnsmasq-iscsi"), boards("pi4", "pi5"), folder / "run") as rig:
        yield Bench(rig, folder)


def test_a_good_iscsi_server(san: Bench) -> None:
    looks = san.looks(san.lab(ISCSI))
    assert {name: look["findings"] for name, look in looks.items()} == {PI4: [], PI5: []}
    for board, serial in ((PI4, "5ce8a200"), (PI5, "5ce8a201")):
        (portal, target) = points(looks[board])
        assert portal[0] == "ok"
        assert f"iqn.2026-01.lab.piboot:{serial}" in portal[1]
        said = f"target iqn.2026-01.lab.piboot:{serial}: it is there, and wants CHAP; the login was not finished"
        assert target == ("ok", said)
        assert "iscsi_password=****************" in looks[board]["cmdline"], "a secret is never shown"


def test_a_target_that_is_not_there_and_a_portal_that_is_closed(san: Bench) -> None:
    look = san.look(san.lab(ISCSI.replace("piboot:{serial}", "piboot:disk-{serial}"), PI4))
    assert ids(look) == ["root-not-as-described", "root-server"]
    assert points(look)[1][1].endswith("the portal refuses it: there is no such target")
    look = san.look(san.lab(ISCSI.replace("portal: 10.77.0.1", 'portal: "10.77.0.1:3261"'), PI4))
    assert ids(look) == ["root-server"]
    assert "no iSCSI target answers at port 3261" in points(look)[0][1]


def test_the_root_of_the_command_line_when_none_is_described(san: Bench) -> None:
    look = san.look(san.lab(", tftp: {address: 10.77.0.1}", PI5))
    assert (ids(look), [state for state, _ in points(look)]) == ([], ["ok", "ok"])


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    skip_without("ceph-rbd")
    folder = tmp_path_factory.mktemp("ceph")
    with start(topology_named("ceph-rbd"), boards("pi4"), folder / "run") as rig:
        yield Bench(rig, folder)


def test_a_proxy_beside_a_router_and_ceph(rack: Bench) -> None:
    look = rack.look(rack.lab(RBD, PI4))
    assert (look["findings"], look["tftp_server"]) == ([], "10.77.0.2")
    (ask,) = look["asks"]
    assert {answer["server"]: answer["gives"] for answer in ask["answers"]} == {
        "10.77.0.1": "address",
        "10.77.0.2": "boot server",
    }
    assert points(look) == [("ok", "Ceph monitor 10.77.0.3: messenger 2 at port 3300; messenger 1 at port 6789")]
    _, text = rack.check(rack.lab(RBD, PI4))
    assert "boot server (proxy)" in text
    assert ":****" in text


def test_an_undescribed_proxy_and_no_monitor(rack: Bench) -> None:
    other = RBD.replace("dhcp: [10.77.0.1, 10.77.0.2], ", "dhcp: [10.77.0.1], ").replace("mode: proxy, ", "")
    look = rack.look(rack.lab(other.replace("[10.77.0.3]", '["10.77.0.3:6790", 10.77.0.9]'), PI4))
    assert ids(look) == ["root-server", "root-server"]
    assert sorted(ids(look, "warning")) == ["dhcp-offer-differs", "dhcp-strange-server"]
    assert "that is mode: proxy" in " ".join(finding["title"] for finding in look["findings"])
    assert all("no Ceph monitor answers" in said for _, said in points(look))
    one = rack.look(rack.lab(RBD.replace("[10.77.0.3]", "[10.77.0.3, 10.77.0.9]"), PI4))
    assert (ids(one), [state for state, _ in points(one)]) == ([], ["ok", "note"]), "one monitor is enough"
