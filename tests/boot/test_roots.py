# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of the storage services that a boot speaks to has its root, and what the system says of its mounts."""

from harness.boot.events import Event, NfsMount, RootConnect
from harness.boot.judge import judge
from harness.boot.record import RootSeen
from tests.boot import stream
from tests.boot.stream import T0


def seen(*events: Event) -> RootSeen:
    found = judge(stream.expectation(), [*stream.power_on(), *events]).root
    assert found is not None
    return found


def mount(t: float, path: str, status: int = 0) -> NfsMount:
    return NfsMount(t=T0 + t, packet=int(t * 10), server_ip="10.77.0.2", path=path, status=status)


def connect(t: float, protocol: str, server: str, port: int) -> RootConnect:
    return RootConnect(t=T0 + t, packet=int(t * 10), protocol=protocol, server_ip=server, port=port)


def test_the_first_mount_that_came_through_is_the_root() -> None:
    nfs = connect(20, "nfs", "10.77.0.2", 2049)
    found = seen(nfs, mount(21, "/srv/nfs/a", 13), mount(22, "/srv/nfs/a"), mount(30, "/srv/tftp/a"))
    assert (found.protocol, found.path, found.status) == ("nfs", "/srv/nfs/a", 0)
    refused = seen(nfs, mount(21, "/srv/nfs/a", 13), mount(22, "/srv/nfs/b", 2))
    assert (refused.path, refused.status) == ("/srv/nfs/b", 2)


def test_a_refusal_is_shown_where_it_came_first() -> None:
    """The initramfs asks again for as long as it runs."""
    nfs = connect(20, "nfs", "10.77.0.2", 2049)
    again = [mount(t, "/srv/nfs/b", 13) for t in (22, 23, 24)]
    assert [one.ref for one in seen(nfs, mount(21, "/srv/nfs/a", 13), *again).evidence] == [200, 220]


def test_a_block_device_stays_the_root_when_the_system_mounts_its_boot_files_by_nfs() -> None:
    found = seen(
        connect(20, "ceph", "10.77.0.3", 6789), connect(30, "nfs", "10.77.0.2", 2049), mount(31, "/srv/tftp/a")
    )
    assert (found.protocol, found.server, found.path, found.status) == ("ceph", "10.77.0.3", None, None)


def test_what_the_system_says_of_its_mounts() -> None:
    told = {"root_source": "/dev/rbd0", "root_fstype": "ext4", "root_options": "rw,noatime", "boot_source": "nas:/boot"}
    found = seen(*(stream.line(40, 7, "probe.value", key=key, value=value) for key, value in told.items()))
    assert (found.source, found.fstype, found.options, found.boot_source) == tuple(told.values())
    assert seen(stream.line(40, 7, "probe.value", key="boot_source", value=""), mount(1, "/")).boot_source is None


def test_every_monitor_that_the_board_spoke_to_is_on_the_record() -> None:
    found = seen(
        connect(20, "ceph", "10.77.0.3", 6789),
        connect(21, "ceph", "10.77.0.4", 3300),
        connect(22, "ceph", "10.77.0.3", 3300),
        connect(30, "nfs", "10.77.0.2", 2049),
    )
    assert found.servers == ("10.77.0.3", "10.77.0.4")
