# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel's command line says of the root, held against what lab.yaml says of it."""

import pytest

from harness.boot.rootline import differences, root_of

HIDDEN = "iscsi_password=very-secret-1"
TARGET = "iqn.2026-01.lab:board:1"


@pytest.mark.parametrize(
    ("cmdline", "found"),
    [
        ("root=/dev/nfs nfsroot=10.0.0.2:/srv/nfs/a,vers=3,tcp rw", {"server": "10.0.0.2", "path": "/srv/nfs/a"}),
        ("root=/dev/nfs nfsroot=/srv/nfs/a,vers=3 ip=dhcp", {"path": "/srv/nfs/a"}),
        ("root=nfs:10.0.0.2:/srv/a:vers=3", {"server": "10.0.0.2", "path": "/srv/a:vers=3"}),
        (
            f"iscsi_target_name={TARGET} iscsi_target_ip=10.0.0.5 iscsi_initiator=i iscsi_username=u " + HIDDEN,
            {"server": "10.0.0.5", "target": TARGET, "initiator": "i", "user": "u"},
        ),
        (f"netroot=iscsi:10.0.0.5::3260:1:{TARGET}", {"server": "10.0.0.5", "lun": "1", "target": TARGET}),
        (
            f"netroot=iscsi:u:very-secret-1@10.0.0.5::::{TARGET} rd.iscsi.initiator=iqn.y",
            {"server": "10.0.0.5", "target": TARGET, "user": "u", "initiator": "iqn.y"},
        ),
        (
            "boot=rbd rbdroot=10.0.0.3,10.0.0.4:pi:very-secret-1:rbd:disk@snap::noatime",
            {"server": "10.0.0.3,10.0.0.4", "user": "pi", "pool": "rbd", "image": "disk"},
        ),
        ("root=/dev/mmcblk0p2 rootwait", {}),
        ("rbdroot= netroot= nfsroot root", {}),
    ],
)
def test_what_it_says(cmdline: str, found: dict[str, str]) -> None:
    said = root_of(cmdline)
    assert "very-secret-1" not in str(said)
    assert {key: value for key, value in said.items() if key != "kind"} == found


def test_what_differs() -> None:
    described = {"kind": "rbd", "server": "10.0.0.3,10.0.0.4", "pool": "rbd", "image": "a", "user": "pi"}
    assert differences(described, "rbdroot=10.0.0.4:pi:k:rbd:a") == []
    assert differences(described, "rbdroot=10.0.0.9:pi:k:rbd:b") == [
        "image is b, not a",
        "server is 10.0.0.9, not 10.0.0.3,10.0.0.4",
    ]
    assert differences(described, "nfsroot=10.0.0.2:/srv") == ["the root is of kind nfs, not rbd"]
    assert differences({}, "nfsroot=10.0.0.2:/srv") == differences(described, "root=/dev/sda1") == []
    nfs = {"kind": "nfs", "server": "10.0.0.2", "path": "/srv/a/"}
    assert differences(nfs, "nfsroot=/srv/a,vers=3") == [], "what it leaves out is not held against it"
