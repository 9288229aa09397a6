# SPDX-License-Identifier: GPL-2.0-or-later
"""An external server's offer and roots: what they make a boot be held against, and what is written wrong in them."""

import re
from pathlib import Path

import pytest

from harness.boot.expect import ExpectedServer
from harness.config import ExternalServer, loads
from harness.lab.served import of_lab
from tests.config.samples import REAL, one

pytestmark = pytest.mark.usefixtures("relay")

NFS = 'root: {kind: nfs, source: "10.0.0.2:/srv/nfs/{serial}-{name}"}'
ISCSI = (
    'root: {kind: iscsi, portal: "10.0.0.5:3261", target: "iqn.2026-01.lab:{serial}", lun: 1, initiator: '
    '"iqn.2026-01.lab:board-{mac}", user: "{name}", filesystem: ext4, options: [noatime]}'
)
RBD = 'root: {kind: rbd, monitors: [10.0.0.3, "10.0.0.4:6790"], pool: rbd, image: "{serial}", user: pi}'


def text(root: str, more: str = "") -> str:
    assert NFS in REAL
    return REAL.replace(NFS, root + more)


def expected(root: str, more: str = "") -> ExpectedServer:
    lab = loads(text(root, more))
    server = lab.servers["nas"]
    assert isinstance(server, ExternalServer)
    return of_lab(server, lab.boards["b"])


def test_an_nfs_root_with_its_version_and_options() -> None:
    found = expected('root: {kind: nfs, source: "10.0.0.2:/srv/{serial}", version: 4.1, options: [hard]}')
    assert (found.root_source, found.root_device) == ("10.0.0.2:/srv/91cdf03d", "10.0.0.2:/srv/91cdf03d")
    assert (found.root_types, found.root_options) == (("nfs4",), ("vers=4.1", "hard"))
    assert (found.root_server, found.root_servers) == ("10.0.0.2", ("10.0.0.2",))
    assert found.root_parts == {"kind": "nfs", "server": "10.0.0.2", "path": "/srv/91cdf03d"}
    assert expected('root: {kind: nfs, source: "10.0.0.2:/srv", version: "3"}').root_types == ("nfs",)
    assert expected('root: {kind: nfs, source: "10.0.0.2:/srv"}').root_types == ()


def test_an_iscsi_root() -> None:
    found = expected(ISCSI)
    assert (found.root_kind, found.root_source) == ("iscsi", "10.0.0.5:iqn.2026-01.lab:91cdf03d")
    assert (found.root_servers, found.root_types, found.root_options) == (("10.0.0.5",), ("ext4",), ("noatime",))
    assert found.is_root_device("/dev/sda2")
    assert not found.is_root_device("/dev/rbd0")
    assert found.root_parts == {
        "kind": "iscsi",
        "server": "10.0.0.5",
        "target": "iqn.2026-01.lab:91cdf03d",
        "initiator": "iqn.2026-01.lab:board-e4-5f-01-09-02-f7",
        "user": "b",
        "lun": "1",
    }


def test_an_rbd_root() -> None:
    found = expected(RBD)
    assert (found.root_kind, found.root_source) == ("rbd", "10.0.0.3:rbd/91cdf03d")
    assert found.root_servers == ("10.0.0.3", "10.0.0.4")
    assert found.is_root_device("/dev/rbd0")
    assert found.root_parts == {
        "kind": "rbd",
        "server": "10.0.0.3,10.0.0.4",
        "pool": "rbd",
        "image": "91cdf03d",
        "user": "pi",
    }


def test_the_offer_and_the_boot_folder() -> None:
    more = """
    boot_folder: "10.0.0.2:/srv/tftp/{serial}"
    offer: {mode: lease, option_43: "Raspberry Pi Boot   ", option_66: "10.0.0.2", siaddr: 10.0.0.2}"""
    found = expected(NFS, more)
    assert found.boot_device == "10.0.0.2:/srv/tftp/91cdf03d"
    assert found.offer is not None
    assert found.offer.model_dump() == {
        "mode": "lease",
        "option_43": "Raspberry Pi Boot   ",
        "option_66": "10.0.0.2",
        "option_67": None,
        "siaddr": "10.0.0.2",
    }
    assert expected(NFS).offer is None


@pytest.mark.parametrize(
    ("old", "new", "path", "what", "instead"),
    [
        (NFS, "root: {kind: ceph}", "root.kind", "not a known kind", "rbd"),
        (NFS, "root: {kind: iscsi, portal: 10.0.0.5}", "root.target", "is missing", "iqn"),
        (NFS, ISCSI.replace("10.0.0.5:3261", "nas"), "root.portal", "not an IPv4 address", '"10.0.0.2:3260"'),
        (NFS, ISCSI.replace("10.0.0.5:3261", "10.0.0.5:99999"), "root.portal", "not an IPv4 address", "10.0.0.2"),
        (NFS, ISCSI.replace("iqn.2026-01.lab:{serial}", "disk1"), "root.target", "not an iSCSI name", "iqn.2026"),
        (NFS, ISCSI.replace(":{serial}", ":{uuid}"), "root.target", "place holder {uuid}", "{serial}"),
        (NFS, ISCSI.replace("lun: 1", "password: x"), "root", "password does not belong here", "no secrets"),
        (NFS, RBD.replace("user: pi", "key: AQAA"), "root", "key does not belong here", "cmdline.txt"),
        (NFS, RBD.replace("user: pi", "user: 'client:pi'"), "root.user", "not a usable name", "colons"),
        (NFS, RBD.replace('[10.0.0.3, "10.0.0.4:6790"]', "[]"), "root.monitors", "is empty", "at least one"),
        (NFS, RBD.replace("user: pi", "device: sda"), "root.device", "not a device", "/dev/sd"),
        (NFS, NFS.replace('name}"', 'name}", version: "2"'), "root.version", "not one of", "3"),
        (NFS, NFS + "\n    offer: {mode: full}", "offer.mode", "not one of", "lease"),
        (NFS, NFS + "\n    offer: {mode: proxy}", "", "two DHCP servers", "add the other's address"),
        (NFS, NFS + "\n    offer: {mode: none, option_66: nas}", "offer", "option_66: is there", "remove it"),
        (NFS, NFS + "\n    boot_folder: /srv", "boot_folder", "not an NFS source", "SERVER:/path"),
    ],
)
def test_mistakes_have_a_place_and_a_remedy(old: str, new: str, path: str, what: str, instead: str) -> None:
    found = one(REAL.replace(old, new))
    assert found.path == f"servers.nas.{path}".rstrip(".")
    assert what in found.what
    assert instead in found.instead
    assert found.line > 6
    assert found.column > 1


def test_the_descriptions_in_the_docs_load() -> None:
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
    whole, *roots = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    head, _, boards = REAL.partition("servers:")[0], "", REAL[REAL.index("boards:") :]
    kinds = []
    for block in (whole, *(whole[: whole.index("    root:")] + root for root in roots)):
        server = loads(head + block + boards).servers["nas"]
        assert isinstance(server, ExternalServer)
        assert server.root is not None
        kinds.append(server.root.kind)
    assert kinds == ["nfs", "iscsi", "rbd"]
